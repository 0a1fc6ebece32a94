"""Random changes by several interleaved sessions, from a seed.

generate.py SEED N prints N statements; replay.py runs them. A statement may
fail (a duplicate key, a lock that another session holds): its transaction is
then rolled back, which is part of the test."""

import collections
import os
import random
import sys

import psycopg2

SESSIONS = 3
MAX_PREPARED = 3
BREAKS = 5
TABLES = 4

# to each type: (a value by a random number, other types with the way to get there)
TYPES = {
    "int": (lambda r: str(r.randint(-99, 99)), {"bigint": "", "text": "", "numeric(10,2)": ""}),
    "bigint": (lambda r: str(r.choice([0, 1, -1, 2 ** 62, r.randint(0, 999)])),
               {"text": "", "int": "USING (%s %% 1000)::int"}),
    "text": (lambda r: r.choice([
        "repeat('%s', %d)" % (r.choice("aäx'").replace("'", "''"), r.choice([0, 1, 9, 3000])),
        # does not compress: out of line
        "(SELECT string_agg(md5((i + %d)::text), '') FROM generate_series(1, 200) i)" %
        r.randint(0, 9999)]),
             {"varchar(9000)": "", "int": "USING length(%s)"}),
    "varchar(9000)": (lambda r: "'v%d'" % r.randint(0, 999), {"text": "", "varchar(9999)": ""}),
    "varchar(9999)": (lambda r: "''", {"text": ""}),
    "numeric(10,2)": (lambda r: "%d.%d" % (r.randint(-999, 999), r.randint(0, 99)),
                      {"numeric": "", "float8": ""}),
    "numeric": (lambda r: r.choice(["'NaN'", "0", "1.500", "-12345678901234567890.5"]),
                {"text": ""}),
    "float8": (lambda r: r.choice(["0.1", "1e23", "'-0'", "'NaN'", "'Infinity'", "1e300", "3"]),
               {"text": "", "real": "USING 0.5"}),
    "real": (lambda r: r.choice(["0.1", "1e-40", "7"]), {"float8": ""}),
    "bool": (lambda r: r.choice(["true", "false"]), {"text": ""}),
    "timestamptz": (lambda r: r.choice(["'infinity'", "'2020-01-01 00:00:00.5+00'",
                                        "'0044-03-15 00:00+00 BC'"]),
                    {"timestamp": "", "text": ""}),
    "timestamp": (lambda r: "'1999-12-31 23:59:59.%d'" % r.randint(0, 999999),
                  {"date": "", "timestamptz": ""}),
    "date": (lambda r: "date '2000-01-01' + %d" % r.randint(-9999, 9999), {"text": ""}),
    "bytea": (lambda r: "decode(repeat('%02x', %d), 'hex')" %
              (r.randint(0, 255), r.choice([0, 1, 4000])), {}),
    "jsonb": (lambda r: "jsonb_build_object('k', %d)" % r.randint(0, 9), {"text": ""}),
    # labels are added on the way; one that is not committed cannot be used
    "grows": (lambda r: r.choice(["'g0'", "enum_last(NULL::grows)"]), {"text": ""}),
    "int[]": (lambda r: "ARRAY[%d, NULL]" % r.randint(0, 9), {"text": ""}),
    "mood": (lambda r: r.choice(["'low'", "'mid'", "'high'"]), {"text": ""}),
    "pair": (lambda r: r.choice(["ROW(%d, 'a,\"b')" % r.randint(0, 9), "ROW(NULL, '')"]), {"text": ""}),
    "positive": (lambda r: str(r.randint(1, 99)), {"int": "", "text": ""}),
    "list": (lambda r: "ARRAY[%d, %d]" % (r.randint(0, 9), r.randint(0, 9)), {"int[]": ""}),
    "int4range": (lambda r: "int4range(1, %d)" % r.randint(1, 9), {"text": ""}),
    "interval": (lambda r: "interval '%d days'" % r.randint(-40, 40), {"text": ""}),
}
FIRST_TYPES = [t for t in TYPES if t not in ("varchar(9999)", "real")]
TOAST_TYPES = ["text", "bytea", "jsonb", "int[]", "varchar(9000)"]

# Large ones for the tables of large values: inline, compressed, out of line, and
# both; those of md5() hardly compress.
LARGE = {
    "text": "(SELECT string_agg(md5((i + {0})::text), '') FROM generate_series(1, {1}) i)",
    "bytea": "(SELECT string_agg(decode(md5((i + {0})::text), 'hex'), '') "
             "FROM generate_series(1, {1}) i)",
    "jsonb": "(SELECT jsonb_object_agg(i, md5((i + {0})::text)) FROM generate_series(1, {1}) i)",
    "int[]": "ARRAY(SELECT (i * {0}) % 65537 FROM generate_series(1, {1} * 8) i)",
    "varchar(9000)": "repeat('{0} ', {1} * 4)",
}
LABELS = 9
SCHEMAS = ["public", "one", "two"]
BOUNDS = ["MINVALUE", 100, 200, "MAXVALUE"]     # of the partitions of p


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = {}               # name: type, without the key's
        self.serial = 0
        self.keyed = True


class Generator:
    """What it knows of the tables may be wrong after a rollback: then
    statements fail, and look() learns anew."""

    def __init__(self, seed, kinds=FIRST_TYPES, large=False):
        self.random = random.Random(seed)
        self.kinds = kinds              # types of new columns
        self.large = large
        self.tables = [Table("r%d" % i) for i in range(TABLES)]
        self.open = set()               # sessions in a transaction
        self.depth = collections.Counter()      # and their savepoints
        self.prepared = []              # transactions that wait for their end
        self.gids = 0
        self.actions = [(40, self.insert), (40, self.update), (8, self.delete), (6, self.key),
                        (8, self.savepoint), (14, self.end), (8, self.finish), (3, self.note),
                        (3, self.add), (1, self.drop), (1, self.replace), (1, self.rename),
                        (2, self.retype), (1, self.truncate), (1, self.identity), (1, self.copy),
                        (1, self.recreate), (1, self.storage), (1, self.generated),
                        (1, self.default), (1, self.rewrite), (1, self.cluster), (1, self.swap),
                        (1, self.move), (0.3, self.swap_schemas), (1, self.grow),
                        (8, self.partitioned), (2, self.partition)]

    def setup(self):
        yield "CREATE SCHEMA one; CREATE SCHEMA two"
        yield "CREATE TABLE p (id int PRIMARY KEY, v text) PARTITION BY RANGE (id)"
        yield "CREATE TABLE p0 (v text, gone int, id int NOT NULL); ALTER TABLE p0 DROP COLUMN gone"
        yield self.attach(0)
        for i in (1, 2):
            yield "CREATE TABLE p%d PARTITION OF p %s" % (i, self.bounds(i))
        for t in self.tables:
            t.columns = {"c%d" % i: self.random.choice(self.kinds)
                         for i in range(self.random.randint(1, 5))}
            t.serial = len(t.columns)
            yield "CREATE TABLE %s (id int PRIMARY KEY, %s)" % (
                t.name, ", ".join("%s %s" % c for c in t.columns.items()))
            if self.random.random() < 0.5:
                yield "ALTER TABLE %s REPLICA IDENTITY FULL" % t.name

    def look(self, columns):
        """columns: {table: {name: type}} as they are."""
        for t in self.tables:
            if t.name in columns:
                t.columns = columns[t.name]

    def statement(self, session):
        if session not in self.open and self.random.random() < 0.7:
            self.open.add(session)
            return "BEGIN"
        weights, actions = zip(*self.actions)
        t = self.random.choice(self.tables)
        return self.random.choices(actions, weights)[0](t, session)

    def value(self, kind):
        if kind not in TYPES or self.random.random() < 0.15:
            return "NULL"
        if self.large and kind in LARGE and self.random.random() < 0.7:
            return LARGE[kind].format(self.random.randint(1, 9999),
                                      self.random.choice([20, 60, 130, 600, 2000]))
        return TYPES[kind][0](self.random)

    def constant(self, kind):
        """One that can be a default: no subquery."""
        value = self.value(kind)
        return "NULL" if "SELECT" in value else value

    def column(self, t):
        return self.random.choice(sorted(t.columns)) if t.columns else None

    def some(self):
        """A condition on the key."""
        n = self.random.randint(0, 400)
        return "id BETWEEN %d AND %d" % (n, n + self.random.choice([0, 3, 30, 99]))

    def insert(self, t, session):
        first = self.random.randint(0, 400)
        n = self.random.choice([1, 1, 2, 20])
        kinds = t.columns.items()
        rows = ", ".join("(%s)" % ", ".join([str(first + i)] + [self.value(k) for _, k in kinds])
                         for i in range(n))
        return "INSERT INTO %s (%s) VALUES %s ON CONFLICT (id) DO %s" % (
            t.name, ", ".join(["id", *t.columns]), rows,
            "UPDATE SET id = excluded.id" if self.random.random() < 0.3 else "NOTHING")

    def copy(self, t, session):
        ends = sorted(self.random.sample(range(500, 3000), 2))
        if self.random.random() < 0.5:
            return "COPY %s (id) FROM PROGRAM 'seq %d %d'" % (t.name, *ends)
        return "INSERT INTO %s (id) SELECT i FROM generate_series(%d, %d) i" % (t.name, *ends)

    def update(self, t, session):
        columns = self.random.sample(sorted(t.columns), min(len(t.columns), 2))
        if not columns:
            return "UPDATE %s SET id = id WHERE %s" % (t.name, self.some())
        return "UPDATE %s SET %s WHERE %s" % (t.name, ", ".join(
            "%s = %s" % (c, self.value(t.columns[c])) for c in columns), self.some())

    def key(self, t, session):
        return "UPDATE %s SET id = id + %d WHERE %s" % (
            t.name, self.random.choice([1000, -1000, 1]), self.some())

    def delete(self, t, session):
        return "DELETE FROM %s WHERE %s" % (t.name, self.some())

    def savepoint(self, t, session):
        if session not in self.open:
            return None
        if self.depth[session] and self.random.random() < 0.6:
            self.depth[session] -= 1
            how = self.random.choice(["RELEASE s%d", "ROLLBACK TO s%d"])
            return how % self.depth[session]
        self.depth[session] += 1
        return "SAVEPOINT s%d" % (self.depth[session] - 1)

    def end(self, t, session):
        if session not in self.open:
            return None
        self.aborted(session)
        how = self.random.random()
        if how < 0.15 and len(self.prepared) < MAX_PREPARED:
            self.gids += 1
            return "PREPARE TRANSACTION 'g%d'" % self.gids
        return "ROLLBACK" if how < 0.35 else "COMMIT"

    def finish(self, t, session):
        """Ends a transaction that was prepared, perhaps by another session."""
        if session in self.open or not self.prepared:
            return None
        gid = self.prepared.pop(self.random.randrange(len(self.prepared)))
        return "%s PREPARED '%s'" % (self.random.choice(["COMMIT", "COMMIT", "ROLLBACK"]), gid)

    def note(self, t, session):
        """Metadata, or a message."""
        if self.random.random() < 0.5:
            return "SELECT cdc.set_metadata('k%d', 'v%d')" % (
                self.random.randint(0, 3), self.random.randint(0, 99))
        return "SELECT pg_logical_emit_message(true, 'p', repeat('m', %d))" % (
            self.random.choice([1, 10, 5000]))

    def aborted(self, session):
        self.open.discard(session)
        self.depth[session] = 0

    def add(self, t, session):
        kind = self.random.choice(self.kinds)
        t.serial += 1
        default = ["", " DEFAULT " + self.constant(kind)][self.random.random() < 0.7]
        if kind == "float8" and self.random.random() < 0.5:
            default = " DEFAULT random()"       # rewrites the table
        return "ALTER TABLE %s ADD COLUMN c%d %s%s" % (t.name, t.serial, kind, default)

    def storage(self, t, session):
        c = self.column(t)
        return c and "ALTER TABLE %s ALTER COLUMN %s SET STORAGE %s" % (
            t.name, c, self.random.choice(["EXTERNAL", "EXTENDED", "MAIN", "PLAIN"]))

    def generated(self, t, session):
        t.serial += 1
        return "ALTER TABLE %s ADD COLUMN g%d int GENERATED ALWAYS AS (id * 2) STORED" % (
            t.name, t.serial)

    def drop(self, t, session):
        c = self.column(t)
        return c and "ALTER TABLE %s DROP COLUMN %s" % (t.name, c)

    def replace(self, t, session):
        """Another column of the same name."""
        c, kind = self.column(t), self.random.choice(self.kinds)
        return c and "ALTER TABLE %s DROP COLUMN %s, ADD COLUMN %s %s DEFAULT %s" % (
            t.name, c, c, kind, self.constant(kind))

    def default(self, t, session):
        c = self.column(t)
        return c and "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s" % (
            t.name, c, self.constant(t.columns[c]))

    def rewrite(self, t, session):
        """What is written to an unlogged table is not in the stream, but then
        all rows are sent."""
        return ("ALTER TABLE %s SET UNLOGGED; UPDATE %s SET id = id; ALTER TABLE %s SET LOGGED" %
                (t.name, t.name, t.name))

    def cluster(self, t, session):
        """After an event, since it would hide the value of a new column."""
        return "UPDATE %s SET id = id; CLUSTER %s USING %s_pkey" % (t.name, t.name, t.name)

    def rename(self, t, session):
        c = self.column(t)
        t.serial += 1
        return c and "ALTER TABLE %s RENAME COLUMN %s TO c%d" % (t.name, c, t.serial)

    def retype(self, t, session):
        c = self.column(t)
        if c is None or not TYPES.get(t.columns[c], ((), ()))[1]:
            return None
        kind, using = self.random.choice(sorted(TYPES[t.columns[c]][1].items()))
        return "ALTER TABLE %s ALTER COLUMN %s TYPE %s %s" % (
            t.name, c, kind, using.replace("%s", c).replace("%%", "%"))

    def truncate(self, t, session):
        other = self.random.choice(self.tables)
        return "TRUNCATE %s%s" % (", ".join(sorted({t.name, other.name})), self.random.choice(
            ["", " CASCADE", " RESTART IDENTITY", " RESTART IDENTITY CASCADE"]))

    def identity(self, t, session):
        return "ALTER TABLE %s REPLICA IDENTITY %s" % (
            t.name, self.random.choice(["FULL", "DEFAULT", "USING INDEX %s_pkey" % t.name]))

    def recreate(self, t, session):
        """A table of the same name; its rows are deleted first."""
        kind = self.random.choice(self.kinds)
        return ("DELETE FROM %s; DROP TABLE %s; CREATE TABLE %s (id int PRIMARY KEY, n0 %s)" %
                (t.name, t.name, t.name, kind))

    # A stream does not tell that a table has another name now: those that change
    # their names are empty.

    def swap(self, t, session):
        other = self.random.choice(self.tables)
        if other is t:
            return None
        return ("DELETE FROM {0}; DELETE FROM {1}; {2}".format(t.name, other.name, "; ".join(
            "ALTER TABLE %s RENAME TO %s; ALTER INDEX %s_pkey RENAME TO %s_pkey" % (a, b, a, b)
            for a, b in ((t.name, "other"), (other.name, t.name), ("other", other.name)))))

    def move(self, t, session):
        return "DELETE FROM %s; ALTER TABLE %s SET SCHEMA %s" % (
            t.name, t.name, self.random.choice(SCHEMAS))

    def swap_schemas(self, t, session):
        # which locks no table
        names = [t.name for t in self.tables]
        return "; ".join(["LOCK " + ", ".join(names), *("DELETE FROM " + n for n in names),
                          "ALTER SCHEMA one RENAME TO other", "ALTER SCHEMA two RENAME TO one",
                          "ALTER SCHEMA other RENAME TO two"])

    def grow(self, t, session):
        return "ALTER TYPE grows ADD VALUE IF NOT EXISTS 'g%d'" % self.random.randint(1, LABELS)

    # Partitions, each under its own name.

    def bounds(self, i):
        return "FOR VALUES FROM (%s) TO (%s)" % (BOUNDS[i], BOUNDS[i + 1])

    def attach(self, i):
        return "ALTER TABLE p ATTACH PARTITION p%d %s" % (i, self.bounds(i))

    def partitioned(self, t, session):
        """Rows move."""
        id = self.random.randint(-10, 310)
        return self.random.choice([
            "INSERT INTO p SELECT i, 'v' || i FROM generate_series({0}, {0} + 20) i "
            "ON CONFLICT DO NOTHING",
            "UPDATE p SET id = id + 100 WHERE id BETWEEN {0} AND {0} + 9",
            "UPDATE p SET id = 200 - id, v = NULL WHERE id BETWEEN {0} AND {0} + 9",
            "UPDATE p SET v = v || '!' WHERE id % 7 = {0} % 7",
            "DELETE FROM p WHERE id BETWEEN {0} AND {0} + 15"]).format(id)

    def partition(self, t, session):
        """Of a partition that is attached already, or is not, the statement fails."""
        i = self.random.randrange(len(BOUNDS) - 1)
        return self.random.choice([
            "ALTER TABLE p DETACH PARTITION p%d" % i, self.attach(i), self.attach(i),
            "DELETE FROM p%d; DROP TABLE p%d; CREATE TABLE p%d PARTITION OF p %s" %
            (i, i, i, self.bounds(i)),
            "ALTER TABLE p DROP COLUMN v, ADD COLUMN v text DEFAULT 'again'",
            "ALTER TABLE p%d REPLICA IDENTITY FULL" % i, "TRUNCATE p%d" % i, "TRUNCATE p"])


COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind = 'r' AND c.relname ~ '^r[0-9]$' AND a.attnum > 1 AND NOT a.attisdropped
  AND a.attgenerated = ''
"""
SHORT = {"integer": "int", "character varying(9000)": "varchar(9000)", "boolean": "bool",
         "character varying(9999)": "varchar(9999)", "double precision": "float8",
         "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp",
         "integer[]": "int[]"}


def statements(n):
    return int(os.environ.get("CDC_REPLAY_STATEMENTS", n))


def run(database, generator, n=None, between=None):
    """Runs them, one after the other; says how many failed. Calls between()
    some times on the way."""
    options = "-c lock_timeout=3 -c timezone=UTC -c search_path=" + ",".join(SCHEMAS)
    sessions = [psycopg2.connect(dbname=database, options=options)
                for _ in range(SESSIONS)]
    for session in sessions:
        session.autocommit = True
    for sql in generator.setup():
        sessions[0].cursor().execute(sql)
    errors = collections.Counter()
    n = n or statements(1500)
    for i in range(n):
        if between and i % (n // BREAKS) == n // BREAKS - 1:
            between()
        session = generator.random.randrange(SESSIONS)
        sql = generator.statement(session)
        if sql is None:
            continue
        cursor = sessions[session].cursor()
        try:
            cursor.execute(sql)
            if sql.startswith("PREPARE"):
                generator.prepared.append(sql.split("'")[1])
            if sql.startswith(("ALTER", "ROLLBACK")) or "CREATE" in sql:
                learn(generator, cursor)
        except psycopg2.Error as e:
            errors[e.pgcode] += 1
            cursor.execute("ROLLBACK")
            generator.aborted(session)
            learn(generator, sessions[session].cursor())
    for session in sessions:
        session.cursor().execute("COMMIT")
    for gid in generator.prepared:
        sessions[0].cursor().execute("COMMIT PREPARED '%s'" % gid)
    for session in sessions:
        session.close()
    return "failed: " + ", ".join("%s %d times" % e for e in errors.most_common())


def learn(generator, cursor):
    columns = collections.defaultdict(dict)
    cursor.execute(COLUMNS)
    for table, name, kind in cursor:
        columns[table][name] = SHORT.get(kind, kind)
    generator.look(columns)


if __name__ == "__main__":
    g = Generator(int(sys.argv[1]))
    for line in g.setup():
        print(line + ";")
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else statements(1500)):
        s = g.random.randrange(SESSIONS)
        line = g.statement(s)
        if line:
            print("/* session %d */ %s;" % (s, line))
