"""Large transactions by sessions that run at the same time, most of which roll
back savepoints, or all that they did, while a walsender sends them. Meanwhile others
change tables that these come to afterwards.

What a session does comes from the seed; how the sessions interleave does not."""

import random
import threading

import psycopg2

import generate
from tap import Failed

SESSIONS = 4
TRANSACTIONS = 12

TABLES = """
CREATE TABLE shared (id bigint PRIMARY KEY, session int, v text);
CREATE TABLE kept (id bigint PRIMARY KEY, session int, v text);
ALTER TABLE kept REPLICA IDENTITY FULL;
"""


class Session:
    def __init__(self, database, seed, number, transactions):
        self.random = random.Random("%d %d" % (seed, number))
        self.database, self.number, self.transactions = database, number, transactions
        self.next = number * 1000000000
        self.columns = self.tables = self.depth = 0
        self.error = None
        self.other = psycopg2.connect(dbname=self.database)
        self.other.autocommit = True
        self.came = False               # to the other's table, which that cannot change then
        self.connect()

    def connect(self):
        self.connection = psycopg2.connect(dbname=self.database)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()

    def run(self):
        try:
            self.sql("CREATE TABLE own%d (id bigint PRIMARY KEY, v text)" % self.number)
            self.sql("CREATE TABLE others%d (id bigint PRIMARY KEY, v text)" % self.number)
            for i in range(self.transactions):
                self.transaction("s%d t%d" % (self.number, i))
            self.connection.close()
            self.other.close()
        except Exception as e:          # is raised in the main thread
            self.error = e

    def sql(self, text):
        self.cursor.execute(text)

    def transaction(self, gid):
        self.sql("BEGIN")
        self.depth = 0
        self.came = False
        for _ in range(self.random.randint(2, 10)):
            self.random.choices([self.rows, self.change, self.savepoint, self.failing, self.ddl,
                                 self.note, self.others, self.come], (6, 4, 8, 2, 2, 1, 3, 2))[0]()
        how = self.random.choice(["COMMIT", "COMMIT", "ROLLBACK", "PREPARE", "close"])
        if how == "close":
            self.connection.close()
            self.connect()
        elif how == "PREPARE":
            self.sql("PREPARE TRANSACTION '%s'" % gid)
            self.sql("%s PREPARED '%s'" % (self.random.choice(["COMMIT", "ROLLBACK"]), gid))
        else:
            self.sql(how)

    def table(self):
        return self.random.choice(["shared", "kept"])

    def rows(self):
        n = self.random.choice([1, 50, 400, 1500])
        self.sql("INSERT INTO %s SELECT i, %d, repeat('v', %d) FROM generate_series(%d, %d) i" % (
            self.table(), self.number, self.random.choice([1, 100]), self.next, self.next + n - 1))
        self.next += n

    def change(self):
        first = self.next - self.random.choice([10, 300, 1000])
        where = "session = %d AND id BETWEEN %d AND %d" % (self.number, first, self.next)
        self.sql(self.random.choice([
            "UPDATE %s SET v = left(v, 50) || 'u' WHERE %s", "UPDATE %s SET id = -id WHERE %s",
            "DELETE FROM %s WHERE %s"]) % (self.table(), where))

    def savepoint(self):
        if self.depth and self.random.random() < 0.6:
            self.depth = self.random.randrange(self.depth)
            self.sql("%s s%d" % (self.random.choice(["ROLLBACK TO", "ROLLBACK TO", "RELEASE"]),
                                 self.depth))
            return
        self.sql("SAVEPOINT s%d" % self.depth)
        self.depth += 1

    def failing(self):
        """Many subtransactions, of which every third fails."""
        self.sql("""DO $$ BEGIN FOR i IN 1..60 LOOP BEGIN
            INSERT INTO own%d (id) SELECT %d + i * 10 + j FROM generate_series(1, 5) j;
            IF i %% 3 = 0 THEN RAISE division_by_zero; END IF;
          EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$""" %
                 (self.number, self.next))
        self.next += 1000

    def ddl(self):
        """What is decoded must be decoded by the catalog of a transaction that
        may be gone by then."""
        self.columns += 1
        self.tables += 1
        column, table = "c%d" % self.columns, "made%d_%d" % (self.number, self.tables)
        self.sql(self.random.choice([
            "ALTER TABLE own{0} ADD COLUMN {1} int DEFAULT {3}; "
            "UPDATE own{0} SET {1} = 0 WHERE id % 2 = 0",
            "ALTER TABLE own{0} ADD COLUMN {1} float8 DEFAULT random()",
            "CREATE TABLE {2} (id int); INSERT INTO {2} SELECT generate_series(1, 700)",
            "TRUNCATE own{0}"]).format(self.number, column, table, self.columns))

    def others(self):
        """Another transaction commits a change of a table."""
        if self.came:
            return
        self.columns += 1
        self.other.cursor().execute(self.random.choice([
            "TRUNCATE others{0}", "ALTER TABLE others{0} ADD COLUMN o{1} int DEFAULT {1}",
            "ALTER TABLE others{0} ALTER COLUMN id TYPE bigint USING id + 0",
            "INSERT INTO others{0} SELECT -i FROM generate_series({1}000, {1}005) i"]).format(
                self.number, self.columns))

    def come(self):
        self.came = True
        self.sql("INSERT INTO others%d SELECT i, 'o' FROM generate_series(%d, %d) i" % (
            self.number, self.next, self.next + 9))
        self.next += 10

    def note(self):
        self.sql("SELECT cdc.set_metadata('session', '%d'), "
                 "pg_logical_emit_message(false, 'p', 'alone')" % self.number)


def run(database, seed):
    with psycopg2.connect(dbname=database) as connection:
        connection.cursor().execute(TABLES)
    connection.close()
    transactions = max(TRANSACTIONS, generate.statements(0) // 1000)
    sessions = [Session(database, seed, i + 1, transactions) for i in range(SESSIONS)]
    threads = [threading.Thread(target=s.run, daemon=True) for s in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for s in sessions:
        if s.error is not None:
            raise Failed("session %d: %s" % (s.number, s.error)) from s.error
