"""Applies a stream to another database. All that it knows of a table is what
its Table messages announce; it never looks at the source."""

import collections

import psycopg2

import values
from cdc.v1 import cdc_pb2 as pb
from stream import Damaged, text
from tables import Tables

SETTINGS = {
    "datestyle": "ISO,MDY", "intervalstyle": "postgres", "timezone": "UTC",
    "lc_monetary": "C", "extra_float_digits": "1", "bytea_output": "hex",
    "search_path": "pg_catalog", "client_encoding": "UTF8", "synchronous_commit": "off",
}
ROWS_AT_ONCE = 500


def connect(database):
    options = " ".join("-c %s=%s" % setting for setting in SETTINGS.items())
    return psycopg2.connect(dbname=database, options=options)


class Target:
    def __init__(self, database):
        self.connection = connect(database)
        self.cursor = self.connection.cursor()
        self.tables = Tables(self.run)
        self.rows = []                  # INSERTs that wait, all of one schema
        self.rows_of = None
        self.counts = {}
        self.changes = collections.Counter()
        self.before = lambda event: None

    def run(self, sql):
        self.cursor.execute(sql)
        return self.cursor.rowcount

    def apply(self, batch):
        for event in batch.events:
            try:
                self.before(event)
                self.event(event)
            except (psycopg2.Error, Damaged) as e:
                raise Damaged("at %s: %s" % (text(event.position), e)) from e
        if batch.outcome is not None:
            self.flush()
            self.tables.end()
            self.connection.commit()

    def event(self, event):
        op = event.pb.op
        self.counts[op] = self.counts.get(op, 0) + 1
        if op == pb.OP_MESSAGE:
            return
        if op == pb.OP_SCHEMA:
            self.flush()
            self.tables.change(event)
            self.changes[event.pb.schema_change.kind] += 1
            return
        relation = self.relation(event)
        if event.pb.rewrite_start or op == pb.OP_TRUNCATE:
            self.flush()
            self.run("TRUNCATE " + relation.name)
            relation.lost = False
        if op in (pb.OP_INSERT, pb.OP_REWRITE):
            self.insert(relation, event)
            return
        self.flush()
        if op == pb.OP_UPDATE:
            self.update(relation, event)
        elif op == pb.OP_DELETE:
            self.delete(relation, event)
        elif op != pb.OP_TRUNCATE:
            raise Damaged("op %d" % op)

    def relation(self, event):
        relation = self.tables.held.get((event.schema.table.schema, event.schema.table.name))
        if relation is not None and relation.schema is event.schema:
            return relation
        self.flush()
        return self.tables.of_row(event)

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
        if relation.lost:
            return
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
            self.one(relation, "UPDATE %s SET %s WHERE %s" % (relation.name, sets, where))
        else:
            self.one(relation, "SELECT FROM %s WHERE %s" % (relation.name, where))

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
        self.one(relation, "DELETE FROM %s WHERE %s" % (relation.name, where))

    def locate(self, relation, e, old, new):
        """The condition that finds the row; None where the WAL does not say."""
        schema = relation.schema
        identity = schema.table.replica_identity
        if identity == pb.REPLICA_IDENTITY_NOTHING or (
                identity != pb.REPLICA_IDENTITY_FULL and not schema.keys):
            if e.key or e.old:
                raise Damaged("a key or an old row that the server does not log")
            self.lose(relation)
            return None
        if schema.keys:
            return " AND ".join(
                "%s = %s" % (relation.column(n), values.literal(schema.columns[n], v))
                for n, v in keyed(schema, e.key).items())
        whole = {n: old.get(n) for n in schema.columns}
        return "ctid = (SELECT ctid FROM %s WHERE true%s LIMIT 1)" % (
            relation.name, conditions(relation, whole))

    def lose(self, relation):
        """Which row was met is not known: none is held until all of them come anew."""
        relation.lost = True
        self.run("TRUNCATE " + relation.name)

    def one(self, relation, sql):
        rows = self.run(sql) if not relation.lost else 1
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
