"""What a session sees of the tables that are played with, by PostgreSQL's catalogs
alone: the oracle never asks the extension what is where."""

import collections
import re

# Expressions as they are stored: to print one, PostgreSQL locks the table.
QUERY = """
SELECT c.oid::bigint, n.nspname, c.relname, c.relkind::text, c.relispartition, c.reloftype::bigint,
       c.relpartbound::text,
       ARRAY(SELECT i.inhparent::bigint FROM pg_inherits i WHERE i.inhrelid = c.oid ORDER BY 1),
       ARRAY(SELECT ARRAY[a.attnum::text, a.attname, format_type(a.atttypid, a.atttypmod),
                          coalesce(d.adbin::text, ''), a.attinhcount::text]
             FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname ~ '^w[0-9]'
ORDER BY c.oid"""

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname ~ '^w[0-9]' ORDER BY oid"

Column = collections.namedtuple("Column", "number name type default inherited")


def constants(tree):
    """The bytes of the constants in a stored expression."""
    return [bytes(int(n) & 255 for n in numbers.split()) for numbers in
            re.findall(r":constvalue \d+ \[ ([-\d ]+) \]", tree or "")]


class Table:
    def __init__(self, row):
        (self.oid, self.schema, self.name, self.kind, self.is_partition, self.of_type,
         bound, self.parents, columns) = row
        values = constants(bound)       # of a list of integers
        self.bound = str(values[0][0]) if values else None
        self.columns = [Column(int(n), name, kind, b" ".join(constants(default)), int(inherited))
                        for n, name, kind, default, inherited in columns]
        self.by_number = {c.number: c for c in self.columns}
        self.by_name = {c.name: c for c in self.columns}

    def sql(self):
        return "%s.%s" % (self.schema, self.name)


class View:
    """The tables as one session sees them at one moment; never changed."""

    def __init__(self, cursor):
        cursor.execute(QUERY)
        self.tables = {row[0]: Table(row) for row in cursor.fetchall()}
        cursor.execute(SCHEMAS)
        self.schemas = [name for name, in cursor.fetchall()]
        self.children = collections.defaultdict(list)
        self.places = {}                # (schema, table, column): (oid, attnum)
        for table in self.tables.values():
            for parent in table.parents:
                self.children[parent].append(table.oid)
            for column in table.columns:
                self.places[table.schema, table.name, column.name] = table.oid, column.number

    def table(self, schema, name):
        return next((t for t in self.tables.values() if (t.schema, t.name) == (schema, name)), None)

    def column(self, home):
        table = self.tables.get(home[0])
        return table and table.by_number.get(home[1])

    def place(self, home):
        column = self.column(home)
        if column is None:
            return None
        table = self.tables[home[0]]
        return table.schema, table.name, column.name

    def roots(self, oid):
        """All ancestors."""
        out, todo = set(), [oid]
        while todo:
            table = self.tables.get(todo.pop())
            for parent in table.parents if table else ():
                if parent not in out:
                    out.add(parent)
                    todo.append(parent)
        return out
