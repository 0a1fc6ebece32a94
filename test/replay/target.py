"""Applies a stream to another database. All that it knows of a table is what
its Table messages announce; it never looks at the source."""

import psycopg2

import values
from cdc.v1 import cdc_pb2 as pb
from stream import Damaged, text

SETTINGS = {
    "datestyle": "ISO,MDY", "intervalstyle": "postgres", "timezone": "UTC",
    "lc_monetary": "C", "extra_float_digits": "1", "bytea_output": "hex",
    "search_path": "pg_catalog", "client_encoding": "UTF8", "synchronous_commit": "off",
}
ROWS_AT_ONCE = 500


def connect(database):
    options = " ".join("-c %s=%s" % setting for setting in SETTINGS.items())
    return psycopg2.connect(dbname=database, options=options)


def ident(name):
    return '"' + name.replace('"', '""') + '"'


class Relation:
    """A table of the target, as it is now."""

    def __init__(self, schema):
        self.schema = schema
        self.name = ident(schema.table.schema) + "." + ident(schema.table.name)
        self.highest = 0                # column number ever seen
        self.index = None
        self.lost = False               # a change could not be located

    def column(self, number):
        return ident(self.schema.columns[number].name)


class Target:
    def __init__(self, database):
        self.connection = connect(database)
        self.cursor = self.connection.cursor()
        self.relations = {}
        self.rows = []                  # INSERTs that wait, all of one schema
        self.rows_of = None
        self.indexes = 0
        self.counts = {}

    def run(self, sql):
        self.cursor.execute(sql)
        return self.cursor.rowcount

    def apply(self, batch):
        for event in batch.events:
            try:
                self.event(event)
            except (psycopg2.Error, Damaged) as e:
                raise Damaged("at %s: %s" % (text(event.position), e)) from e
        if batch.outcome is not None:
            self.flush()
            self.connection.commit()

    def event(self, event):
        op = event.pb.op
        self.counts[op] = self.counts.get(op, 0) + 1
        if op == pb.OP_MESSAGE:
            return
        relation = self.relation(event)
        if op in (pb.OP_INSERT, pb.OP_REWRITE):
            if event.pb.rewrite_start:
                self.flush()
                self.run("TRUNCATE " + relation.name)
            self.insert(relation, event)
            return
        self.flush()
        if op == pb.OP_TRUNCATE:
            self.run("TRUNCATE " + relation.name)
        elif op == pb.OP_UPDATE:
            self.update(relation, event)
        elif op == pb.OP_DELETE:
            self.delete(relation, event)
        else:
            raise Damaged("op %d" % op)

    # --- tables -----------------------------------------------------------

    def relation(self, event):
        table = event.schema.table
        relation = self.relations.get((table.schema, table.name))
        if relation is not None and relation.schema is event.schema:
            return relation
        self.flush()
        if relation is None:
            relation = self.create(event.schema)
        else:
            if event.pb.rewrite_start:
                self.run("TRUNCATE " + relation.name)
            self.alter(relation, event.schema)
        self.index_keys(relation)
        return relation

    def create(self, schema):
        relation = Relation(schema)
        self.run("CREATE SCHEMA IF NOT EXISTS " + ident(schema.table.schema))
        self.run("CREATE TABLE %s (%s)" % (relation.name, ", ".join(
            "%s %s" % (ident(c.name), c.pg_type) for c in schema.table.columns)))
        self.relations[schema.table.schema, schema.table.name] = relation
        relation.highest = max(schema.columns, default=0)
        return relation

    def alter(self, relation, new):
        old = relation.schema

        def do(action, *args):
            self.run("ALTER TABLE " + relation.name + " " + action % args)

        for number in old.columns.keys() - new.columns.keys():
            do("DROP COLUMN %s", relation.column(number))
        renamed = [n for n in new.columns if n in old.columns and
                   new.columns[n].name != old.columns[n].name]
        for n in renamed:               # names may have been swapped
            do("RENAME COLUMN %s TO %s", relation.column(n), ident("column %d" % n))
        for n in renamed:
            do("RENAME COLUMN %s TO %s", ident("column %d" % n), ident(new.columns[n].name))
        relation.schema = new
        for n, column in new.columns.items():
            name = relation.column(n)
            kind = column.pg_type
            if n not in old.columns:
                missing = values.row(new, column.missing).get(n)
                do("ADD COLUMN %s %s DEFAULT %s", name, kind, values.literal(column, missing))
                do("ALTER COLUMN %s DROP DEFAULT", name)
            elif column.pg_type != old.columns[n].pg_type:
                do("ALTER COLUMN %s TYPE %s USING %s::text::%s", name, kind, name, kind)
        # Numbers only grow, unless another table has taken the name (its rows
        # were deleted before): then the columns are put in order.
        if any(n not in old.columns and n <= relation.highest for n in new.columns):
            self.reorder(relation)
        relation.highest = max([relation.highest, *new.columns])

    def reorder(self, relation):
        copy = ident(relation.schema.table.schema) + "." + ident("cdc replay copy")
        self.run("CREATE TABLE %s AS SELECT %s FROM %s" % (copy, ", ".join(
            relation.column(n) for n in relation.schema.columns), relation.name))
        self.run("DROP TABLE " + relation.name)
        self.run("ALTER TABLE %s RENAME TO %s" % (copy, ident(relation.schema.table.name)))
        relation.index = None

    def index_keys(self, relation):
        """Only for speed."""
        keys = [relation.column(n) for n in relation.schema.keys]
        if relation.index and relation.index[1] == relation.schema.keys:
            return
        if relation.index:
            self.run("DROP INDEX IF EXISTS " + relation.index[0])
            relation.index = None
        if keys:
            self.indexes += 1
            name = ident("cdc replay key %d" % self.indexes)
            self.run("CREATE INDEX %s ON %s (%s)" % (name, relation.name, ", ".join(keys)))
            relation.index = (ident(relation.schema.table.schema) + "." + name,
                              relation.schema.keys)

    # --- rows ---------------------------------------------------------------

    def insert(self, relation, event):
        e, schema = event.pb, event.schema
        if e.old or e.new_key or e.nulls or e.unavailable:
            raise Damaged("an INSERT with more than key and new")
        row = values.row(schema, e.key + e.new) if not schema.keys else {
            **keyed(schema, e.key), **rest(schema, e.new)}
        if e.key and not schema.keys:
            raise Damaged("a key where the table has none")
        if self.rows and self.rows_of is not relation:
            self.flush()
        self.rows_of = relation
        self.rows.append("(" + ",".join(
            values.literal(c, row.get(c.number)) for c in schema.table.columns) + ")")
        if len(self.rows) == ROWS_AT_ONCE:
            self.flush()

    def flush(self):
        if not self.rows:
            return
        rows, self.rows = self.rows, []
        if self.rows_of.schema.columns:
            self.run("INSERT INTO %s VALUES %s" % (self.rows_of.name, ",".join(rows)))
        else:
            for _ in rows:
                self.run("INSERT INTO %s DEFAULT VALUES" % self.rows_of.name)

    def update(self, relation, event):
        e, schema = event.pb, event.schema
        full = schema.table.replica_identity == pb.REPLICA_IDENTITY_FULL
        if e.unavailable:
            raise Damaged("an UPDATE with unavailable columns")
        if list(e.nulls) != sorted(set(e.nulls)) or not set(e.nulls) <= schema.columns.keys():
            raise Damaged("nulls are not ascending")
        new = rest(schema, e.new)
        new.update(dict.fromkeys(e.nulls))
        if len(new) != len(rest(schema, e.new)) + len(e.nulls) or any(
                schema.columns[n].key for n in e.nulls):
            raise Damaged("a column is both in new and in nulls, or a key is")
        if e.new_key:
            new.update(keyed(schema, e.new_key))
        old = rest(schema, e.old)
        if e.old and not full:
            raise Damaged("old, without REPLICA IDENTITY FULL")
        where = self.locate(relation, e, old, new)
        if where is None:
            if e.new_key == b"" and schema.keys:
                raise Damaged("an UPDATE under NOTHING lacks new_key")
            return
        if full and schema.keys:
            # the row must be what it is said to have been; NULLs are absent
            where += conditions(relation, {n: old.get(n) for n in new if n not in schema.keys})
            if not old.keys() <= new.keys():
                raise Damaged("old has columns that did not change")
        if new:
            sets = ", ".join("%s = %s" % (relation.column(n), values.literal(schema.columns[n], v))
                             for n, v in new.items())
            self.one("UPDATE %s SET %s WHERE %s" % (relation.name, sets, where))
        else:
            self.one("SELECT FROM %s WHERE %s" % (relation.name, where))

    def delete(self, relation, event):
        e, schema = event.pb, event.schema
        if e.new or e.new_key or e.nulls or e.unavailable:
            raise Damaged("a DELETE with more than key and old")
        old = rest(schema, e.old)
        where = self.locate(relation, e, old, {})
        if where is None:
            return
        if schema.table.replica_identity == pb.REPLICA_IDENTITY_FULL and schema.keys:
            where += conditions(relation, {n: old.get(n) for n in schema.columns
                                           if n not in schema.keys})
        self.one("DELETE FROM %s WHERE %s" % (relation.name, where))

    def locate(self, relation, e, old, new):
        """The condition that finds the row; None where the WAL does not say."""
        schema = relation.schema
        identity = schema.table.replica_identity
        if identity == pb.REPLICA_IDENTITY_NOTHING or (
                identity != pb.REPLICA_IDENTITY_FULL and not schema.keys):
            if e.key or e.old:
                raise Damaged("a key or an old row that the server does not log")
            relation.lost = True
            return None
        if schema.keys:
            return " AND ".join(
                "%s = %s" % (relation.column(n), values.literal(schema.columns[n], v))
                for n, v in keyed(schema, e.key).items())
        whole = {n: old.get(n) for n in schema.columns}
        return "ctid = (SELECT ctid FROM %s WHERE true%s LIMIT 1)" % (
            relation.name, conditions(relation, whole))

    def one(self, sql):
        rows = self.run(sql)
        if rows != 1:
            raise Damaged("%d rows met by %.500s" % (rows, sql))


def keyed(schema, data):
    """A row of key columns: all of them, and nothing else."""
    row = values.row(schema, data)
    if sorted(row) != schema.keys:
        raise Damaged("a key with columns %s, not %s" % (sorted(row), schema.keys))
    return row


def rest(schema, data):
    """A row without key columns."""
    row = values.row(schema, data)
    if not row.keys().isdisjoint(schema.keys):
        raise Damaged("key columns outside of the key")
    return row


def conditions(relation, row):
    """Conditions on columns' exact values. As text, since not every type has
    an equality, and where it has one it may hold between different values."""
    return "".join(
        " AND %s::text COLLATE \"C\" IS NOT DISTINCT FROM (%s)::text" %
        (relation.column(n), values.literal(relation.schema.columns[n], v))
        for n, v in row.items())
