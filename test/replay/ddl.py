"""Random DDL among rows, from a seed.

What there is, it learns from the catalogs before each statement. A statement may fail: its
transaction is then rolled back, which is part of the test.

What is left out: row types of tables as types of columns, and tables of row types of tables (types
are not in the stream; the target's are altered as the source's, at the same place). Rows that
UPDATE and DELETE without a replica identity met are not known, so rows of such a table are not
compared until all come anew. With several sessions, ALTER SCHEMA RENAME locks the tables first,
types are not altered, and rows of a table that another session has locked are not compared:
what a transaction in progress writes has the names and types that there were before."""

import os
import random

from sessions import DropType, TypeStatement

SCHEMAS = ["s0", "s1", "s2", "s3", "S 4"]
NAMES = ["t%d" % i for i in range(8)] + ["T \"x\""]
KINDS = ["kinds", "kinds2", "kinds3"]   # schemas of types, but for one
MANY = 14                               # tables; then they are dropped


TABLES = """
SELECT quote_ident(n.nspname), quote_ident(c.relname), c.relkind, c.relpersistence, c.relispartition, c.reloftype <> 0,
       c.relreplident, (SELECT quote_ident(conname) FROM pg_constraint WHERE conrelid = c.oid AND contype = 'p'),
       EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid), EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid),
       array(SELECT ROW(quote_ident(a.attname), format_type(a.atttypid, a.atttypmod), a.attgenerated = '', a.attinhcount = 0,
                        a.attnotnull)::text
             FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND n.nspname ~* '^s ?[0-9]$'
ORDER BY 1, 2
"""
TYPES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(t.typname), t.typtype,
       CASE t.typtype WHEN 'e' THEN array(SELECT enumlabel::text FROM pg_enum WHERE enumtypid = t.oid ORDER BY enumsortorder)
            ELSE array(SELECT quote_ident(a.attname) || ' ' || format_type(a.atttypid, a.atttypmod) FROM pg_attribute a
                       WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname LIKE 'kinds%' AND t.typtype IN ('e', 'c', 'd') ORDER BY 1
"""

# to each built-in type a value by a random number, and other types with the way to get there
BUILT_IN = {
    "integer": (lambda r: str(r.randint(-9999, 9999)), {"bigint": "", "text": "", "numeric(12,2)": ""}),
    "bigint": (lambda r: str(r.choice([0, 2 ** 62, r.randint(0, 999)])), {"text": "", "integer": "USING (%s %% 1000)::int"}),
    "text": (lambda r: r.choice(["'a%d'" % r.randint(0, 99), "repeat('x', %d)" % r.choice([0, 3000]),
                                 "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 100) i)"]),
             {"character varying(9000)": "", "integer": "USING length(%s)"}),
    "character varying(9000)": (lambda r: "'v%d'" % r.randint(0, 99), {"text": ""}),
    "numeric(12,2)": (lambda r: "%d.25" % r.randint(-99, 99), {"numeric": "", "double precision": ""}),
    "numeric": (lambda r: r.choice(["'NaN'", "1.500"]), {"text": ""}),
    "double precision": (lambda r: r.choice(["0.1", "'-0'", "1e300"]), {"text": ""}),
    "boolean": (lambda r: r.choice(["true", "false"]), {"text": ""}),
    "timestamp with time zone": (lambda r: "'2020-01-01 00:00:00.5+00'", {"timestamp without time zone": "", "text": ""}),
    "timestamp without time zone": (lambda r: "'1999-12-31 23:59:59'", {"timestamp with time zone": ""}),
    "integer[]": (lambda r: "ARRAY[%d, NULL]" % r.randint(0, 9), {"text": ""}),
}


class Column:
    def __init__(self, text):
        name, kind, plain, local, not_null = unrow(text)
        self.name, self.kind = name, kind
        self.plain, self.local, self.not_null = plain == "t", local == "t", not_null == "t"


def unrow(text):
    """The fields of a row's text; none of them is NULL."""
    out, field, quoted, i = [], "", False, 1
    while i < len(text) - 1:
        c = text[i]
        if c in '"\\' and text[i + 1] == c and (quoted or c == "\\"):
            field += c
            i += 1
        elif c == '"':
            quoted = not quoted
        elif c == "," and not quoted:
            out.append(field)
            field = ""
        else:
            field += c
        i += 1
    return out + [field]


class Table:
    def __init__(self, row):
        (self.schema, self.short, self.kind, self.persistence, self.partition, self.typed, self.identity,
         self.pkey, self.parent, self.child, columns) = row
        self.name = self.schema + "." + self.short
        self.columns = [Column(c) for c in columns]

    @property
    def plain(self):
        return [c for c in self.columns if c.plain]

    @property
    def found(self):
        """Rows that are changed can be told."""
        return self.identity == "f" or self.identity == "i" or self.identity == "d" and self.pkey


class Generator:
    def __init__(self, seed, sessions=1):
        self.random = random.Random(seed)
        self.sessions = sessions
        self.tables, self.types, self.schemas, self.kinds = [], {}, [], []
        self.serial = self.gids = 0
        self.tell = bool(os.environ.get("CDC_REPLAY_TELL"))
        self.actions = self.rows() + self.makes() + self.alters() + self.moves() + self.nothing()
        if sessions == 1:               # the others are of other types than they were, in the midst
            self.actions += self.of_types()

    def rows(self):
        return [(45, self.insert), (18, self.update), (10, self.delete), (2, self.truncate), (3, self.many)]

    def makes(self):
        return [(5, self.create), (2, self.create_like), (2, self.inherits), (2, self.of_type), (2, self.create_as),
                (1, self.select_into), (2, self.with_elements), (2, self.partitioned), (2, self.partition_of),
                (2, self.drop_table), (1, self.drop_many), (0.4, self.drop_schema), (3, self.again)]

    def alters(self):
        return [(5, self.add), (4, self.drop), (3, self.rename_column), (2, self.swap_columns), (4, self.retype),
                (4, self.several), (4, self.key), (4, self.identity), (4, self.logged), (3, self.attach),
                (2, self.rewrite_none), (1, self.not_null), (1, self.vacuum_full), (1, self.inherit)]

    def moves(self):
        return [(4, self.rename), (3, self.swap), (3, self.set_schema), (1, self.rename_schema),
                (1, self.swap_schemas)]

    def nothing(self):
        return [(1, self.owner), (1, self.grant), (2, self.index), (1, self.comment), (1, self.temporary)]

    def of_types(self):
        return [(2, self.add_label), (2, self.rename_label), (2, self.attribute), (2, self.rename_type),
                (1, self.move_type), (1, self.drop_type), (3, self.create_type), (1, self.rename_kinds)]

    # --- what there is ------------------------------------------------------

    def setup(self):
        return ["CREATE SCHEMA s0", "CREATE SCHEMA s1",
                "CREATE FUNCTION public.run(statement text) RETURNS void LANGUAGE plpgsql "
                "AS 'BEGIN EXECUTE statement; END'"]

    def look(self, cursor):
        cursor.execute(TABLES)
        self.tables = [Table(row) for row in cursor]
        cursor.execute(TYPES)
        self.types = {name: (kind, parts) for name, kind, parts in cursor}
        cursor.execute("SELECT quote_ident(nspname) FROM pg_namespace ORDER BY 1")
        names = [name for name, in cursor]
        self.schemas = [name for name in names if name.strip('"') in SCHEMAS]
        self.kinds = [name for name in names if name in KINDS]

    def failed(self, sql, error):
        if self.tell:
            print("# %.200s: %.200s" % (sql, str(error).splitlines()[0]))

    def statement(self, is_open, depth):
        how = self.random.random()
        if not is_open and how < 0.3:
            return "BEGIN"
        if is_open and how < 0.15:
            return self.end()
        if is_open and how < 0.3:
            return self.savepoint(depth)
        sql = None
        while sql is None:
            sql = self.action()
            if sql and sql.startswith("VACUUM") and is_open:
                sql = None
        return self.wrapped(sql)

    def action(self):
        weights, actions = zip(*self.actions)
        if len(self.tables) > MANY:
            return self.random.choice([self.drop_table, self.drop_many, self.drop_schema])()
        return self.random.choices(actions, weights)[0]()

    def end(self):
        how = self.random.random()
        if how < 0.12 and self.sessions == 1:
            self.gids += 1
            return "PREPARE TRANSACTION 'd{0}'; {1} PREPARED 'd{0}'".format(
                self.gids, self.random.choice(["COMMIT", "COMMIT", "ROLLBACK"]))
        return "ROLLBACK" if how < 0.3 else "COMMIT"

    def savepoint(self, depth):
        if depth and self.random.random() < 0.5:
            return "ROLLBACK TO a%d" % self.random.randrange(min(depth, 3))
        return "SAVEPOINT a%d" % min(depth, 2)

    def wrapped(self, sql):
        """Perhaps in a function, a DO, or an EXCEPTION block that is rolled back."""
        how = self.random.random()
        if isinstance(sql, TypeStatement) or sql.startswith(("VACUUM", "SELECT", "DO")) or how < 0.7:
            return sql
        if how < 0.77:
            return "SELECT public.run($run$%s$run$)" % sql
        if how < 0.84:
            return "DO $do$ BEGIN %s; END $do$" % perform(sql)
        other = self.action()
        while other is None or isinstance(other, TypeStatement) or other.startswith(("VACUUM", "SELECT", "DO")):
            other = self.action()
        if how < 0.93:
            return ("DO $do$ BEGIN BEGIN %s; RAISE 'rolled back'; EXCEPTION WHEN raise_exception THEN NULL; END; %s; "
                    "END $do$" % (perform(sql), perform(other)))
        return "DO $do$ BEGIN %s; BEGIN %s; EXCEPTION WHEN OTHERS THEN NULL; END; END $do$" % (
            perform(sql), perform(other))

    # --- choices ------------------------------------------------------------

    def table(self, which=lambda t: True):
        found = [t for t in self.tables if which(t)]
        return self.random.choice(found) if found else None

    def column(self, t, which=lambda c: True):
        found = [c for c in t.columns if which(c)] if t else []
        return self.random.choice(found) if found else None

    def fresh(self, prefix="c"):
        self.serial += 1
        return "%s%d" % (prefix, self.serial)

    def schema(self):
        return self.random.choice(self.schemas or ["s0"])

    def new_name(self):
        """Of a table; it may be taken."""
        name = self.random.choice(NAMES)
        return self.schema() + "." + ('"%s"' % name.replace('"', '""') if " " in name else name)

    def free_name(self):
        for _ in range(9):
            name = self.new_name()
            if all(t.name != name for t in self.tables):
                break
        return name

    def kind(self):
        """Mostly built-in."""
        own = [name for name, (kind, _) in self.types.items() if "row" not in name]
        if own and self.random.random() < 0.3:
            return self.random.choice(own)
        return self.random.choice(sorted(BUILT_IN))

    def value(self, kind):
        if kind in BUILT_IN and self.random.random() < 0.9:
            return BUILT_IN[kind][0](self.random)
        of, parts = self.types.get(kind, (None, None))
        if of == "e":
            return "'%s'" % self.random.choice(parts)
        if of == "c" and parts:
            return "ROW(%s)::%s" % (", ".join("%d" % self.random.randint(0, 9) if part.endswith("integer") else "'b'"
                                              for part in parts), kind)
        return str(self.random.randint(1, 9)) if of == "d" else "NULL"

    def constant(self, kind):
        value = self.value(kind)
        return "NULL" if "SELECT" in value else value

    def definition(self, key=True):
        columns = ["%s %s" % (self.fresh(), self.kind()) for _ in range(self.random.randint(1, 4))]
        return ", ".join(["id int" + " PRIMARY KEY" * (key and self.random.random() < 0.8), *columns])

    # --- rows ---------------------------------------------------------------

    def insert(self, most=5):
        t = self.table(lambda t: not t.partition)
        if t is None:
            return None
        n, first = self.random.randint(1, most), self.random.randint(0, 300)
        if not t.plain:
            return "INSERT INTO %s DEFAULT VALUES" % t.name
        values = ["%d + g" % first if c.kind == "integer" and (c.not_null or t.kind == "p") else self.value(c.kind)
                  for c in t.plain]
        return "INSERT INTO %s (%s) SELECT %s FROM generate_series(1, %d) g ON CONFLICT DO NOTHING" % (
            t.name, ", ".join(c.name for c in t.plain), ", ".join(values), n)

    def many(self):
        return self.insert(300)

    def some(self, t, n):
        return "ctid IN (SELECT ctid FROM ONLY %s ORDER BY ctid LIMIT %d OFFSET %d)" % (
            t.name, n, self.random.randint(0, 5))

    def changed(self):
        """Rarely one whose rows cannot be told."""
        return self.table(lambda t: t.kind == "r" and (t.found or self.random.random() < 0.005))

    def update(self):
        t = self.changed()
        c = self.column(t, lambda c: c.plain)
        if c is None:
            return None
        value = self.value(c.kind) if not c.not_null or c.kind != "integer" else c.name + " + 1000"
        return "UPDATE ONLY %s SET %s = %s WHERE %s" % (t.name, c.name, value, self.some(t, 4))

    def delete(self):
        t = self.changed()
        return t and "DELETE FROM ONLY %s WHERE %s" % (t.name, self.some(t, self.random.choice([1, 3, 900])))

    def truncate(self):
        t = self.table()
        return t and "TRUNCATE " + t.name + self.random.choice(["", " CASCADE"])

    # --- tables come and go -------------------------------------------------

    def create(self):
        unlogged = self.random.random() < 0.1
        return "CREATE %sTABLE %s (%s)" % ("UNLOGGED " * unlogged, self.free_name(), self.definition())

    def create_like(self):
        t = self.table()
        return t and "CREATE TABLE %s (LIKE %s %s)" % (self.free_name(), t.name, self.random.choice(
            ["", "INCLUDING ALL", "INCLUDING DEFAULTS INCLUDING GENERATED"]))

    def inherits(self):
        t = self.table(lambda t: t.kind == "r" and not t.partition)
        return t and "CREATE TABLE %s (%s int) INHERITS (%s)" % (self.free_name(), self.fresh(), t.name)

    def of_type(self):
        kind = self.choice_of("c")
        return kind and "CREATE TABLE %s OF %s" % (self.free_name(), kind)

    def create_as(self):
        t = self.table(lambda t: t.plain)
        if t is None:
            return None
        return "CREATE TABLE %s AS SELECT %s FROM %s%s" % (
            self.free_name(), ", ".join(c.name for c in t.plain), t.name,
            self.random.choice(["", "", " LIMIT 3", " WITH NO DATA"]))

    def select_into(self):
        t = self.table(lambda t: t.plain)
        return t and "SELECT %s INTO %s FROM %s" % (", ".join(c.name for c in t.plain), self.free_name(), t.name)

    def with_elements(self):
        free = [s for s in SCHEMAS if '"%s"' % s not in self.schemas and s not in self.schemas]
        if not free:
            return None
        name = self.random.choice(free)
        return 'CREATE SCHEMA "%s" CREATE TABLE t0 (%s) CREATE TABLE t1 (%s) CREATE INDEX ON t0 (id) ' \
            'CREATE VIEW v AS SELECT id FROM t0' % (name, self.definition(), self.definition())

    def partitioned(self):
        return "CREATE TABLE %s (id int %s, v text) PARTITION BY RANGE (id)" % (
            self.free_name(), self.random.choice(["", "PRIMARY KEY", "NOT NULL"]))

    def root(self):
        return self.table(lambda t: t.kind == "p" and any(c.name == "id" for c in t.columns))

    def bounds(self):
        n = self.random.choice([0, 100, 200])
        return self.random.choice(["FOR VALUES FROM (%d) TO (%d)" % (n, n + 100), "DEFAULT"])

    def partition_of(self):
        t = self.root()
        return t and "CREATE TABLE %s PARTITION OF %s %s" % (self.free_name(), t.name, self.bounds())

    def attach(self):
        t, part = self.root(), self.table(lambda t: t.partition)
        if part and self.random.random() < 0.4:
            return "DO $do$ BEGIN EXECUTE (SELECT format('ALTER TABLE %%s DETACH PARTITION %%s', inhparent::regclass, " \
                "inhrelid::regclass) FROM pg_inherits WHERE inhrelid = '%s'::regclass); END $do$" % part.name
        if t is None:
            return None
        name = self.free_name()
        columns = ["gone int"] + self.random.sample(["%s %s" % (c.name, c.kind) for c in t.columns], len(t.columns))
        return "CREATE TABLE {0} ({1}); ALTER TABLE {0} DROP COLUMN gone; INSERT INTO {0} (id) VALUES (1); {3}" \
            "ALTER TABLE {2} ATTACH PARTITION {0} DEFAULT".format(
                name, ", ".join(columns), t.name,
                "".join("ALTER TABLE %s ALTER %s SET NOT NULL; " % (name, c.name) for c in t.columns if c.not_null))

    def drop_table(self):
        t = self.table()
        return t and "DROP TABLE " + t.name + self.random.choice(["", " CASCADE", " CASCADE"])

    def drop_many(self):
        some = self.random.sample(self.tables, min(len(self.tables), self.random.randint(1, 4)))
        return "DROP TABLE %s CASCADE" % ", ".join(t.name for t in some) if some else None

    def drop_schema(self):
        return "DROP SCHEMA %s CASCADE" % self.schema() if len(self.schemas) > 1 else None

    def again(self):
        """Another one of its name, perhaps with the same columns."""
        t = self.table(lambda t: t.kind == "r" and not t.typed and t.columns)
        if t is None:
            return None
        same = ", ".join("%s %s" % (c.name, c.kind) for c in t.columns)
        return "DROP TABLE {0} CASCADE; CREATE TABLE {0} ({1})".format(
            t.name, self.random.choice([same, self.definition()]))

    # --- tables change ------------------------------------------------------

    def alterable(self):
        return self.table(lambda t: not t.typed)

    def adding(self, t):
        kind = self.kind()
        how = self.random.random()
        if how < 0.4:
            return "ADD COLUMN %s %s DEFAULT %s" % (self.fresh(), kind, self.constant(kind))
        if how < 0.5:
            return "ADD COLUMN %s float8 DEFAULT random()" % self.fresh()
        if how < 0.6 and any(c.name == "id" and c.kind == "integer" for c in t.columns):
            return "ADD COLUMN %s int GENERATED ALWAYS AS (id * 2) STORED" % self.fresh("g")
        if how < 0.65 and t.kind == "r":
            return "ADD COLUMN %s bigserial" % self.fresh()
        return "ADD COLUMN %s %s" % (self.fresh(), kind)

    def dropping(self, t):
        c = self.column(t, lambda c: c.local and (c.name != "id" or self.random.random() < 0.1))
        return c and "DROP COLUMN %s CASCADE" % c.name

    def retyping(self, t):
        c = self.column(t, lambda c: c.local and c.plain)
        if c is None:
            return None
        kind, using = self.random.choice(sorted(BUILT_IN.get(c.kind, (0, {}))[1].items()) or [("text", "")])
        if c.name == "id" and kind != "bigint":
            return None
        return "ALTER COLUMN %s TYPE %s %s" % (c.name, kind, using.replace("%s", c.name).replace("%%", "%"))

    def altering(self, *ways):
        t = self.alterable()
        actions = [way(t) for way in ways] if t else [None]
        return "ALTER TABLE %s %s" % (t.name, ", ".join(actions)) if all(actions) else None

    def add(self):
        return self.altering(self.adding)

    def drop(self):
        return self.altering(self.dropping)

    def retype(self):
        return self.altering(self.retyping)

    def several(self):
        return self.altering(*self.random.choices([self.adding, self.dropping, self.retyping, self.setting], k=2))

    def setting(self, t):
        c = self.column(t, lambda c: c.plain)
        return c and "ALTER COLUMN %s SET DEFAULT %s" % (c.name, self.constant(c.kind))

    def not_null(self):
        t = self.alterable()
        c = self.column(t)
        return c and "ALTER TABLE %s ALTER %s %s NOT NULL" % (t.name, c.name, "DROP" if c.not_null else "SET")

    def rename_column(self):
        t = self.alterable()
        c = self.column(t, lambda c: c.local and c.name != "id")
        return c and "ALTER TABLE %s RENAME COLUMN %s TO %s" % (t.name, c.name, self.fresh())

    def swap_columns(self):
        t = self.alterable()
        some = [c.name for c in t.columns if c.local and c.name != "id"] if t else []
        if len(some) < 2:
            return None
        a, b = self.random.sample(some, 2)
        return "; ".join("ALTER TABLE %s RENAME COLUMN %s TO %s" % (t.name, *pair)
                         for pair in ((a, "other"), (b, a), ("other", b)))

    def key(self):
        t = self.table()
        if t is None:
            return None
        if t.pkey and self.random.random() < 0.6:
            c = self.column(t, lambda c: c.not_null and c.name != "id")
            return "ALTER TABLE %s DROP CONSTRAINT %s" % (t.name, t.pkey) + (
                ", ADD PRIMARY KEY (%s)" % c.name if c and self.random.random() < 0.5 else "")
        return "ALTER TABLE %s ADD PRIMARY KEY (id)%s" % (t.name, self.random.choice(["", "", "", " DEFERRABLE"]))

    def identity(self):
        t = self.table()
        if t is None:
            return None
        how = self.random.random()
        c = self.column(t, lambda c: c.not_null)
        if how < 0.35 and c:
            name = self.fresh("i")
            return "CREATE UNIQUE INDEX {0} ON {1} ({2}); ALTER TABLE {1} REPLICA IDENTITY USING INDEX {0}".format(
                name, t.name, c.name) + self.random.choice(["", "", "; DROP INDEX %s.%s" % (t.schema, name)])
        return "ALTER TABLE %s REPLICA IDENTITY %s" % (t.name, self.random.choice(
            ["FULL", "FULL", "FULL", "DEFAULT", "NOTHING"]))

    def logged(self):
        t = self.table(lambda t: t.persistence == "u") if self.random.random() < 0.6 else None
        if t:
            return "ALTER TABLE %s SET LOGGED" % t.name
        t = self.table(lambda t: t.kind == "r")
        return t and "ALTER TABLE %s SET UNLOGGED" % t.name

    def rewrite_none(self):
        t = self.table(lambda t: t.kind == "r" and t.found)
        c = self.column(t, lambda c: c.local and c.plain and c.name != "id")
        return c and "DELETE FROM ONLY {0}; ALTER TABLE {0} ALTER {1} TYPE int USING 0, ALTER {1} TYPE int USING 1".format(
            t.name, c.name).rsplit(",", 1)[0]

    def vacuum_full(self):
        t = self.table(lambda t: t.kind == "r")
        return t and "VACUUM FULL " + t.name

    def inherit(self):
        """What it has of a parent, it keeps."""
        t = self.table(lambda t: t.child and not t.partition)
        return t and "DO $do$ BEGIN EXECUTE (SELECT format('ALTER TABLE %%s NO INHERIT %%s', inhrelid::regclass, " \
            "inhparent::regclass) FROM pg_inherits WHERE inhrelid = '%s'::regclass LIMIT 1); END $do$" % t.name

    # --- names --------------------------------------------------------------

    def rename(self):
        t = self.table()
        return t and "ALTER TABLE %s RENAME TO %s" % (t.name, self.free_name().split(".", 1)[1])

    def set_schema(self):
        t = self.table(lambda t: not t.partition)
        return t and "ALTER TABLE %s SET SCHEMA %s" % (t.name, self.schema())

    def swap(self):
        """Two tables of a schema."""
        t = self.table()
        other = self.table(lambda o: o is not t and o.schema == t.schema) if t else None
        return other and "; ".join("ALTER TABLE %s.%s RENAME TO %s" % (t.schema, *pair) for pair in (
            (t.short, "swapped"), (other.short, t.short), ("swapped", other.short)))

    def locking(self, schemas):
        """A schema that is renamed locks no table: rows of transactions in progress would be
        of tables of both names."""
        names = [t.name for t in self.tables if t.schema in schemas]
        lock = "LOCK %s; " % ", ".join(names)
        return lock if self.sessions > 1 and names else ""

    def rename_schema(self):
        free = [s for s in SCHEMAS if '"%s"' % s not in self.schemas and s not in self.schemas]
        if not free or not self.schemas:
            return None
        name = self.schema()
        return self.locking([name]) + 'ALTER SCHEMA %s RENAME TO "%s"' % (name, self.random.choice(free))

    def swap_schemas(self):
        if len(self.schemas) < 2:
            return None
        a, b = self.random.sample(self.schemas, 2)
        return self.locking([a, b]) + "; ".join(
            "ALTER SCHEMA %s RENAME TO %s" % pair for pair in ((a, "other"), (b, a), ("other", b)))

    # --- types --------------------------------------------------------------

    def choice_of(self, *kinds):
        found = [name for name, (kind, _) in self.types.items() if kind in kinds]
        return self.random.choice(found) if found else None

    def create_type(self):
        if len(self.types) > 6:
            return None
        name = "%s.%s" % (self.random.choice(self.kinds), self.random.choice(["a", "b", "c", "d", "e", "f", "g", "row", "row2"]))
        return TypeStatement("CREATE TYPE %s AS ENUM ('one', 'two', 'three')" % name if self.random.random() < 0.5
                             else "CREATE TYPE %s AS (id int, b text)" % name)

    def add_label(self):
        name = self.choice_of("e")
        return name and TypeStatement("ALTER TYPE %s ADD VALUE '%s' %s" % (
            name, self.fresh("l"), self.random.choice(["", "BEFORE '%s'" % self.types[name][1][0]])))

    def rename_label(self):
        name = self.choice_of("e")
        return name and TypeStatement("ALTER TYPE %s RENAME VALUE '%s' TO '%s'" % (
            name, self.random.choice(self.types[name][1]), self.fresh("l")))

    def attribute(self):
        name = self.choice_of("c")
        if name is None:
            return None
        parts = [part.rsplit(" ", 1)[0] for part in self.types[name][1]]
        how = self.random.random()
        if how < 0.4 and len(parts) < 5:
            return TypeStatement("ALTER TYPE %s ADD ATTRIBUTE %s %s CASCADE" % (
                name, self.fresh("a"), self.random.choice(["int", "text"])))
        if how < 0.7:
            return TypeStatement("ALTER TYPE %s RENAME ATTRIBUTE %s TO %s CASCADE" % (
                name, self.random.choice(parts), self.fresh("a"))) if parts else None
        return TypeStatement("ALTER TYPE %s DROP ATTRIBUTE %s CASCADE" % (
            name, self.random.choice(parts))) if len(parts) > 1 else None

    def rename_type(self):
        name = self.choice_of("e", "c", "d")
        word = {"d": "DOMAIN"}.get(self.types[name][0], "TYPE") if name else ""
        return name and TypeStatement("ALTER %s %s RENAME TO %s" % (word, name, self.fresh(
            "row" if "row" in name else "k")))

    def move_type(self):
        name = self.choice_of("e", "c")
        others = [kinds for kinds in self.kinds if name and kinds != name.split(".")[0]]
        return TypeStatement("ALTER TYPE %s SET SCHEMA %s" % (name, self.random.choice(others))) if others else None

    def rename_kinds(self):
        free = [name for name in KINDS if name not in self.kinds]
        return TypeStatement("ALTER SCHEMA %s RENAME TO %s" % (
            self.random.choice(self.kinds), self.random.choice(free)))

    def drop_type(self):
        name = self.choice_of("e", "c")
        return name and DropType("DROP TYPE %s CASCADE" % name)

    # --- nothing ------------------------------------------------------------

    def owner(self):
        t = self.table()
        return t and "ALTER TABLE %s OWNER TO %s" % (t.name, self.random.choice(["CURRENT_USER", "pg_monitor"]))

    def grant(self):
        t = self.table()
        return t and "%s ON %s %s pg_monitor" % self.random.choice(
            [("GRANT SELECT", t.name, "TO"), ("REVOKE ALL", t.name, "FROM")])

    def index(self):
        t = self.table()
        c = self.column(t)
        return c and "CREATE INDEX ON %s (%s)" % (t.name, c.name)

    def comment(self):
        t = self.table()
        return t and "COMMENT ON TABLE %s IS 'no change'" % t.name

    def temporary(self):
        return "CREATE TEMP TABLE %s ON COMMIT DROP AS SELECT 1 AS id" % self.fresh("temporary")


def statements():
    return int(os.environ.get("CDC_REPLAY_DDL", 1000))


def perform(sql):
    return "PERFORM" + sql[6:] if sql.startswith("SELECT public") else sql
