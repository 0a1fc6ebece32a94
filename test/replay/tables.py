"""The tables that a stream makes in another database: created, altered, renamed and
dropped as its rows and its changes of schemas say."""

import values
from cdc.v1 import cdc_pb2 as pb
from stream import Damaged

CREATED, ALTERED, DROPPED, ENTERED, LEFT = (
    getattr(pb, "SCHEMA_CHANGE_KIND_" + kind)
    for kind in ("CREATED", "ALTERED", "DROPPED", "ENTERED", "LEFT"))


def ident(name):
    return '"' + name.replace('"', '""') + '"'


def key_of(schema):
    return schema.table.schema, schema.table.name


class Relation:
    """A table of the target, as it is now."""

    def __init__(self, schema):
        self.schema = schema
        self.highest = 0                # column number ever seen
        self.index = None
        self.lost = False               # a change could not be located
        # a row said that it is new or another, what a change of the schema is to say, too
        self.unsaid = False

    @property
    def key(self):
        return key_of(self.schema)

    @property
    def name(self):
        return ".".join(map(ident, self.key))

    def column(self, number):
        return ident(self.schema.columns[number].name)


def form(schema):
    """What a command must say of a table. The value of rows without a column goes with a
    VACUUM FULL, too."""
    table = pb.Table.FromString(schema.bytes)
    for column in table.columns:
        column.ClearField("missing")
        column.ClearField("missing_unavailable")
    return table


class Tables:
    def __init__(self, run):
        self.run = run
        self.held = {}
        self.indexes = 0
        self.told = False               # changes of schemas are in the stream

    def of_row(self, event):
        """The relation of a row. One that is not as the row says is made so."""
        relation = self.held.get(key_of(event.schema))
        if relation is None:
            relation = self.create(event.schema)
            relation.unsaid = True
        elif relation.schema is not event.schema:
            relation.unsaid |= form(relation.schema) != form(event.schema)
            if event.pb.rewrite_start:
                self.run("TRUNCATE " + relation.name)
            self.alter(relation, event.schema)
        return relation

    def end(self):
        """At the end of a transaction."""
        for relation in self.held.values() if self.told else ():
            if relation.unsaid:
                raise Damaged("no command has made %s what its rows say" % relation.name)

    def lost(self):
        return {key for key, relation in self.held.items() if relation.lost}

    # --- changes of schemas -------------------------------------------------

    def change(self, event):
        change = event.pb.schema_change
        {CREATED: self.appears, ENTERED: self.appears, ALTERED: self.altered,
         DROPPED: self.goes, LEFT: self.goes}[change.kind](change, event.schema)

    def appears(self, change, schema):
        """With the rows that its command wrote before, or with none."""
        relation = self.held.get(key_of(schema))
        if relation is None:
            self.create(schema)
        elif relation.unsaid and form(relation.schema) == form(schema):
            # SET LOGGED: as the rows came, the catalog had values for older ones
            self.alter(relation, schema)
            relation.unsaid = False
        else:
            raise Damaged("%s is there already" % relation.name)

    def altered(self, change, schema):
        former = (change.former_schema, change.former_name) if change.former_name else None
        relation = self.held.get(former or key_of(schema))
        if relation is None:
            raise Damaged("%s.%s is not there" % (former or key_of(schema)))
        if former:
            self.rename(relation, schema)
        if relation.schema is not schema:
            self.alter(relation, schema)
        relation.unsaid = False

    def goes(self, change, _):
        """Rows of one that is no longer sent would be in the way of types that go."""
        relation = self.held.pop((change.former_schema, change.former_name), None)
        if relation is None:
            raise Damaged("%s.%s is not there" % (change.former_schema, change.former_name))
        self.run("DROP TABLE " + relation.name)

    # --- in the target ------------------------------------------------------

    def make_schema(self, schema):
        self.run("CREATE SCHEMA IF NOT EXISTS " + ident(schema.table.schema))

    def create(self, schema):
        relation = Relation(schema)
        self.make_schema(schema)
        self.run("CREATE TABLE %s (%s)" % (relation.name, ", ".join(
            "%s %s" % (ident(c.name), c.pg_type) for c in schema.table.columns)))
        self.held[relation.key] = relation
        relation.highest = max(schema.columns, default=0)
        self.index_keys(relation)
        return relation

    def rename(self, relation, new):
        """All else is as it was."""
        if key_of(new) in self.held:
            raise Damaged("%s.%s is there already" % key_of(new))
        self.make_schema(new)
        free = ident("cdc replay moves")    # its name may be taken in the other schema
        schema, name = map(ident, key_of(new))
        self.run("ALTER TABLE %s RENAME TO %s" % (relation.name, free))
        if relation.schema.table.schema != new.table.schema:
            self.run("ALTER TABLE %s.%s SET SCHEMA %s" % (
                ident(relation.schema.table.schema), free, schema))
        self.run("ALTER TABLE %s.%s RENAME TO %s" % (schema, free, name))
        del self.held[relation.key]
        self.held[key_of(new)] = relation
        relation.schema = Renamed(relation.schema, new)

    def alter(self, relation, new):
        old, relation.schema = relation.schema, new
        names = {n: ident(c.name) for n, c in old.columns.items()}

        def do(action, *args):
            self.run("ALTER TABLE " + relation.name + " " + action % args)

        for number in old.columns.keys() - new.columns.keys():
            do("DROP COLUMN %s", names[number])
        renamed = [n for n in new.columns if n in old.columns and
                   new.columns[n].name != old.columns[n].name]
        for n in renamed:               # names may have been swapped
            do("RENAME COLUMN %s TO %s", names[n], ident("column %d" % n))
        for n in renamed:
            do("RENAME COLUMN %s TO %s", ident("column %d" % n), relation.column(n))
        for n, column in new.columns.items():
            name = relation.column(n)
            if n not in old.columns:
                missing = values.row(new, column.missing).get(n)
                do("ADD COLUMN %s %s DEFAULT %s", name, column.pg_type,
                   values.literal(column, missing))
                do("ALTER COLUMN %s DROP DEFAULT", name)
            elif column.pg_type != old.columns[n].pg_type:
                do("ALTER COLUMN %s TYPE %s USING %s::text::%s", name, column.pg_type,
                   name, column.pg_type)
        self.put_in_order(relation, old)
        self.index_keys(relation)

    def put_in_order(self, relation, old):
        """Numbers only grow, unless another table has taken the name (its rows
        were deleted before): then the columns are put in order."""
        new = relation.schema
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
        """Only for speed. The index is in the table's schema, whatever that is called."""
        keys = [relation.column(n) for n in relation.schema.keys]
        if relation.index and relation.index[1] == relation.schema.keys:
            return
        if relation.index:
            self.run("DROP INDEX IF EXISTS %s.%s" % (
                ident(relation.schema.table.schema), relation.index[0]))
            relation.index = None
        if keys:
            self.indexes += 1
            name = ident("cdc replay key %d" % self.indexes)
            self.run("CREATE INDEX %s ON %s (%s)" % (name, relation.name, ", ".join(keys)))
            relation.index = name, relation.schema.keys


class Renamed:
    """What a relation was, under its new name."""

    def __init__(self, old, new):
        self.table, self.bytes = pb.Table.FromString(old.bytes), old.bytes
        self.table.schema, self.table.name = key_of(new)
        self.columns, self.keys = old.columns, old.keys
