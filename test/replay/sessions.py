"""Sessions that note what they commit: after each transaction the source is looked at."""

import collections

import psycopg2

OPTIONS = "-c lock_timeout=%s -c timezone=UTC -c search_path=public"
# What cannot be in a transaction.
ALONE = ("VACUUM",)
# After which the catalogs are as they were.
ROWS = ("BEGIN", "INSERT", "UPDATE", "DELETE", "SAVEPOINT", "COMMIT", "TRUNCATE", "VACUUM")


class TypeStatement(str):
    """Of types alone, and tables are altered by it only as its types are. after: it takes
    something away, which the stream says of the tables first."""
    after = False


class DropType(TypeStatement):
    after = True


class Session:
    def __init__(self, database, source, lock_timeout):
        self.connection = psycopg2.connect(dbname=database, options=OPTIONS % lock_timeout)
        self.connection.autocommit = True
        self.cursor = self.connection.cursor()
        self.source = source
        self.open = False
        self.begin()

    def begin(self):
        self.types = []                 # (LSN, statement) of the transaction
        self.marks = {}                 # and how many when a savepoint was set
        self.said = []

    def value(self, sql):
        self.cursor.execute(sql)
        return self.cursor.fetchone()[0]

    def execute(self, sql):
        first = sql.split()[0]
        if first in ("COMMIT", "PREPARE"):
            self.end(sql)
        elif first in ("BEGIN", "ROLLBACK", "SAVEPOINT", "RELEASE"):
            self.control(sql)
        elif first in ALONE and not self.open:
            self.cursor.execute(sql)
            self.source.committed(None, [], sql)
        elif self.open:
            self.inside(sql)
        else:
            self.control("BEGIN")
            self.inside(sql)
            self.end("COMMIT")

    def inside(self, sql):
        before = isinstance(sql, TypeStatement) and self.lsn()
        self.cursor.execute(sql)
        self.said.append(sql)
        if before:
            self.types.append((self.lsn() if sql.after else before, sql))

    def lsn(self):
        return self.value("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")

    def control(self, sql):
        self.cursor.execute(sql)
        name = sql.split()[-1]
        if sql.startswith("SAVEPOINT"):
            self.marks[name] = len(self.types), len(self.said)
        elif sql.startswith("ROLLBACK TO"):
            types, said = self.marks[name]
            del self.types[types:], self.said[said:]
        elif sql in ("BEGIN", "ROLLBACK"):
            self.open = sql == "BEGIN"
            self.begin()

    def end(self, sql):
        """PREPARE TRANSACTION, with its COMMIT PREPARED; or COMMIT"""
        xid = self.value("SELECT pg_current_xact_id_if_assigned()::text::bigint")
        for statement in sql.split("; "):
            self.cursor.execute(statement)
        self.open = False
        if xid is not None and "ROLLBACK" not in sql:
            self.source.committed(xid, self.types, "; ".join(self.said))
        self.begin()

    def failed(self):
        self.cursor.execute("ROLLBACK")
        self.open = False
        self.begin()

    def close(self):
        if self.open:
            self.end("COMMIT")
        self.connection.close()


def run(database, generator, source, n, between=None, breaks=5):
    """Runs n statements of a generator, one after the other, in as many sessions as it has;
    says how many failed. Calls between() some times on the way."""
    sessions = [Session(database, source, 3 if generator.sessions > 1 else 0)
                for _ in range(generator.sessions)]
    for sql in generator.setup():
        sessions[0].execute(sql)
    generator.look(sessions[0].cursor)
    errors = collections.Counter()
    for i in range(n):
        if between and i % (n // breaks) == n // breaks - 1:
            between()
        one(generator, sessions, errors)
    for session in sessions:
        session.close()
    return "%d statements, failed: %s" % (n, ", ".join("%s %d times" % e
                                                       for e in errors.most_common()))


def one(generator, sessions, errors):
    number = generator.random.randrange(len(sessions))
    session = sessions[number]
    sql = generator.statement(session.open, len(session.marks))
    try:
        session.execute(sql)
    except psycopg2.Error as e:
        errors[e.pgcode] += 1
        generator.failed(sql, e)
        sql = "ROLLBACK"
        session.failed()
    if not sql.startswith(ROWS):
        generator.look(session.cursor)
