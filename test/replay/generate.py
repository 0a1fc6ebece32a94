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
TABLES = 4

# type: (a value by a random number, other types with the way to get there)
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
    "float8": (lambda r: r.choice(["0.1", "'-0'", "'NaN'", "'Infinity'", "1e300", "3"]),
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
    "int[]": (lambda r: "ARRAY[%d, NULL]" % r.randint(0, 9), {"text": ""}),
    "mood": (lambda r: r.choice(["'low'", "'mid'", "'high'"]), {"text": ""}),
    "pair": (lambda r: r.choice(["ROW(%d, 'a,\"b')" % r.randint(0, 9), "ROW(NULL, '')"]), {"text": ""}),
    "positive": (lambda r: str(r.randint(1, 99)), {"int": "", "text": ""}),
    "list": (lambda r: "ARRAY[%d, %d]" % (r.randint(0, 9), r.randint(0, 9)), {"int[]": ""}),
    "int4range": (lambda r: "int4range(1, %d)" % r.randint(1, 9), {"text": ""}),
    "interval": (lambda r: "interval '%d days'" % r.randint(-40, 40), {"text": ""}),
}
FIRST_TYPES = [t for t in TYPES if t not in ("varchar(9999)", "real")]


class Table:
    def __init__(self, name):
        self.name = name
        self.columns = {}               # name: type, without the key's
        self.serial = 0
        self.keyed = True


class Generator:
    """What it knows of the tables may be wrong after a rollback: then
    statements fail, and look() learns anew."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.tables = [Table("r%d" % i) for i in range(TABLES)]
        self.open = set()               # sessions in a transaction
        self.depth = collections.Counter()      # and their savepoints
        self.prepared = []              # transactions that wait for their end
        self.gids = 0
        self.actions = [(40, self.insert), (40, self.update), (8, self.delete), (6, self.key),
                        (8, self.savepoint), (14, self.end), (8, self.finish), (3, self.note), (3, self.add), (1, self.drop),
                        (1, self.rename), (2, self.retype), (1, self.truncate), (1, self.identity),
                        (1, self.copy), (1, self.recreate), (1, self.storage), (1, self.generated)]

    def setup(self):
        for t in self.tables:
            t.columns = {"c%d" % i: self.random.choice(FIRST_TYPES)
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
        return TYPES[kind][0](self.random)

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
        return "INSERT INTO %s (id) SELECT i FROM generate_series(%d, %d) i" % (
            t.name, *sorted(self.random.sample(range(500, 3000), 2)))

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
        kind = self.random.choice(FIRST_TYPES)
        t.serial += 1
        default = ["", " DEFAULT " + self.value(kind)][self.random.random() < 0.7]
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
        return "TRUNCATE " + ", ".join(sorted({t.name, other.name}))

    def identity(self, t, session):
        return "ALTER TABLE %s REPLICA IDENTITY %s" % (
            t.name, self.random.choice(["FULL", "DEFAULT", "USING INDEX %s_pkey" % t.name]))

    def recreate(self, t, session):
        """A table of the same name; its rows are deleted first."""
        kind = self.random.choice(FIRST_TYPES)
        return ("DELETE FROM %s; DROP TABLE %s; CREATE TABLE %s (id int PRIMARY KEY, n0 %s)" %
                (t.name, t.name, t.name, kind))


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


def run(database, seed, n=None):
    """Runs them, one after the other; says how many failed."""
    generator = Generator(seed)
    sessions = [psycopg2.connect(dbname=database, options="-c lock_timeout=3 -c timezone=UTC")
                for _ in range(SESSIONS)]
    for session in sessions:
        session.autocommit = True
    for sql in generator.setup():
        sessions[0].cursor().execute(sql)
    errors = collections.Counter()
    for _ in range(n or statements(1500)):
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
