"""Joins a table's first rows with its stream, as docs/protocol.md 13 says: tables
are read in chunks by cdc.snapshot(), each under another snapshot, with
interruptions, while sessions change them, also by ALTER and TRUNCATE; the
stream of a slot that is older is applied to that. The result must be what is
in the tables at the end."""

import random
import threading
import time

import psycopg2

import values
from cdc.v1 import cdc_pb2 as pb
from stream import Damaged, Schema, fields, read_varint
from workload import Workload

TABLES = """
CREATE TABLE plain (id int PRIMARY KEY, v text, n numeric);
CREATE TABLE "Full" (b text, a int, v text, big text, PRIMARY KEY (b, a));
ALTER TABLE "Full" REPLICA IDENTITY FULL;
ALTER TABLE "Full" ALTER big SET STORAGE EXTERNAL;
CREATE TABLE moved (id int PRIMARY KEY, v text, big text);
ALTER TABLE moved ALTER big SET STORAGE EXTERNAL;
CREATE TABLE emptied (id int PRIMARY KEY, v text);
CREATE TABLE altered (id int PRIMARY KEY, v int);
INSERT INTO plain SELECT g, 'v' || g, g FROM generate_series(1, 3000) g;
INSERT INTO "Full" SELECT 'b' || g % 7, g, 'v' || g, repeat('x', g % 5 * 1000) FROM generate_series(1, 1000) g;
INSERT INTO moved SELECT g, 'v' || g, repeat('y', 3000) FROM generate_series(1, 1000) g;
INSERT INTO emptied SELECT g, 'v' || g FROM generate_series(1, 1000) g;
INSERT INTO altered SELECT g, g FROM generate_series(1, 1000) g;
"""
NAMES = ['public.plain', 'public."Full"', 'public.moved', 'public.emptied', 'public.altered']

# What a session does, with a random number for %d.
CHANGES = [
    "INSERT INTO plain VALUES (%d, 'new', 1) ON CONFLICT (id) DO UPDATE SET v = 'again'",
    "UPDATE plain SET v = NULL WHERE id = %d",
    "UPDATE plain SET n = n + 1 WHERE id BETWEEN %d AND %d + 20",
    "DELETE FROM plain WHERE id = %d",
    "UPDATE \"Full\" SET v = 'changed %d' WHERE a = %d",
    "UPDATE \"Full\" SET v = NULL WHERE a = %d",
    "UPDATE \"Full\" SET b = 'b' || (a + %d) %% 7 WHERE a = %d",
    "INSERT INTO \"Full\" VALUES ('c', %d, 'new', repeat('z', 5000)) ON CONFLICT DO NOTHING",
    "DELETE FROM \"Full\" WHERE a = %d",
    "UPDATE moved SET v = 'still here' WHERE id = %d",
    "UPDATE moved SET id = 5000 + %d WHERE id = %d AND NOT EXISTS (SELECT FROM moved WHERE id = 5000 + %d)",
    "UPDATE moved SET id = id - 5000 WHERE id = 5000 + %d AND NOT EXISTS (SELECT FROM moved WHERE id = %d)",
    "INSERT INTO emptied VALUES (%d, 'new') ON CONFLICT DO NOTHING",
    "UPDATE emptied SET v = 'u' || %d WHERE id = %d",
    "UPDATE altered SET v = %d WHERE id = %d",
    "INSERT INTO altered (id, v) VALUES (2000 + %d, 1) ON CONFLICT DO NOTHING",
    "BEGIN; SAVEPOINT a; DELETE FROM plain WHERE id %% 50 = %d %% 50; ROLLBACK TO a; "
    "UPDATE moved SET v = v || '.' WHERE id < %d %% 50; COMMIT",
]
# One that others overtake, so that snapshots have transactions in progress.
SLOW = ("BEGIN; UPDATE \"Full\" SET v = 'slow %d' WHERE a %% 40 = %d %% 40; "
        "UPDATE plain SET v = 'slow' WHERE id %% 40 = %d %% 40; SELECT pg_sleep(0.03); "
        "UPDATE altered SET id = id WHERE id %% 40 = %d %% 40; COMMIT")
# Each once, somewhere on the way.
EVENTS = [
    "TRUNCATE emptied",
    "ALTER TABLE altered ADD added int DEFAULT 42",
    "ALTER TABLE altered DROP COLUMN v; ALTER TABLE altered ADD v text DEFAULT 'anew'",
    "ALTER TABLE plain ALTER n TYPE text",
    "TRUNCATE emptied; INSERT INTO emptied SELECT g, 'refilled' FROM generate_series(1, 500) g",
]


class Session(threading.Thread):
    """Changes tables until it is told to stop."""

    def __init__(self, database, seed, changes, statements=()):
        super().__init__()
        self.changes = changes
        self.random = random.Random(seed)
        self.connection = psycopg2.connect(dbname=database)
        self.connection.autocommit = True
        self.statements = list(statements)
        self.enough = threading.Event()
        self.done = 0
        self.error = None

    def run(self):
        cursor = self.connection.cursor()
        try:
            while not self.enough.is_set():
                if self.statements:
                    cursor.execute(self.statements.pop(0))
                    time.sleep(0.05)
                    continue
                statement = self.random.choice(self.changes)
                number = self.random.randint(1, 1200)
                try:
                    cursor.execute(statement % ((number,) * (statement.count("%d"))))
                except (psycopg2.errors.DeadlockDetected, psycopg2.errors.UniqueViolation,
                        psycopg2.errors.UndefinedColumn, psycopg2.errors.DatatypeMismatch,
                        psycopg2.errors.UndefinedFunction):
                    cursor.execute("ROLLBACK")      # other sessions are in the way
                self.done += 1
        except psycopg2.Error as e:
            self.error = e


class Snapshot:
    """pg_current_snapshot() of the transaction that read a chunk."""

    def __init__(self, message):
        self.xmin, self.xmax, self.xip = message.xmin, message.xmax, set(message.xip)

    def saw(self, xid):
        # the 64-bit id that is closest to xmax
        full = self.xmax + ((xid - self.xmax + (1 << 31)) % (1 << 32)) - (1 << 31)
        return full < self.xmin or (full < self.xmax and full not in self.xip)


class Row:
    """values: {attnum: the field's bytes}; snapshot: None where the stream made it."""

    def __init__(self, schema, values, snapshot):
        self.schema, self.values, self.snapshot = schema, values, snapshot

    def has_seen(self, xid):
        return self.snapshot is not None and self.snapshot.saw(xid)

    def learn(self, schema):
        """Gives a row that is older than a column the column's value."""
        for number, column in schema.columns.items():
            if number not in self.schema.columns and column.missing:
                self.values.setdefault(number, column.missing)
        if schema.columns.keys() > self.schema.columns.keys() or \
                max(schema.columns, default=0) > max(self.schema.columns, default=0):
            self.schema = schema


def split(data):
    return {number: raw for number, _, _, raw in fields(data)}


class Copy:
    """The rows of tables, by the bytes of their keys."""

    def __init__(self, database):
        self.tables = {}
        self.schemas = {}
        self.connection = psycopg2.connect(dbname=database)
        self.counts = dict.fromkeys(("read", "applied", "skipped", "again", "interrupted", "refused"), 0)

    def rows(self, schema):
        return self.tables.setdefault((schema.table.schema, schema.table.name), {})

    # --- what there is -------------------------------------------------------

    def read(self, chunk, interrupt=False):
        """One chunk, in a transaction of its own. Interrupted ones are given up half-way."""
        cursor = self.connection.cursor()
        try:
            cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("SELECT pg_current_snapshot()")
            if interrupt:
                time.sleep(0.02)
            cursor.execute("SELECT cdc.snapshot(%s, %s, %s, options => '{batch_bytes,20kB}')", chunk)
            batches = [bytes(data) for data, in cursor]
            if interrupt:
                self.counts["interrupted"] += 1
                for data in batches[:len(batches) // 2]:
                    self.add(data)
                self.connection.rollback()
                return False
            self.connection.commit()
        except psycopg2.errors.ObjectNotInPrerequisiteState:
            self.connection.rollback()
            self.counts["refused"] += 1
            return False
        for data in batches:
            self.add(data)
        return True

    def add(self, data):
        size, at = read_varint(data, 0)
        if at + size != len(data):
            raise Damaged("a row of cdc.snapshot() is not one batch")
        batch = pb.Batch.FromString(data[at:])
        if not batch.HasField("snapshot") or batch.HasField("transaction"):
            raise Damaged("a batch of cdc.snapshot() without snapshot, or with a transaction")
        self.learn_schemas(batch)
        snapshot = Snapshot(batch.snapshot)
        for event in batch.events:
            if event.op != pb.OP_READ or event.unavailable or event.old or event.failure.sqlstate:
                raise Damaged("not what a READ is: %s" % event)
            schema = self.schemas[event.schema]
            self.rows(schema)[event.key] = Row(schema, split(event.key + event.new), snapshot)
            self.counts["read"] += 1

    def learn_schemas(self, batch):
        for version in batch.schemas:
            self.schemas.setdefault(version.fingerprint, Schema(version, b""))

    # --- the stream ----------------------------------------------------------

    def apply(self, data):
        batch = pb.Batch.FromString(data)
        self.learn_schemas(batch)
        for event in batch.events:
            if event.op in (pb.OP_MESSAGE, pb.OP_SCHEMA):   # rows say of what schema they are
                continue
            self.event(batch.transaction.xid, event, self.schemas[event.schema])

    def event(self, xid, event, schema):
        rows = self.rows(schema)
        if event.op == pb.OP_TRUNCATE or event.rewrite_start:
            for key in [key for key, row in rows.items() if not row.has_seen(xid)]:
                del rows[key]
        row = rows.get(event.key)
        if row is not None and row.has_seen(xid):
            self.counts["skipped"] += 1
            row = None
        else:
            self.counts["applied"] += 1
            self.require(event, schema, row)
            if event.op == pb.OP_DELETE or event.new_key:
                rows.pop(event.key, None)
            elif event.op in (pb.OP_INSERT, pb.OP_REWRITE):
                rows[event.key] = Row(schema, split(event.key + event.new), None)
        if event.op == pb.OP_UPDATE:
            self.update(xid, event, schema, rows, row)

    def require(self, event, schema, row):
        """A row that has not seen a change is as it was before it: not there, or with
        the former values that the event has."""
        if row is None:
            return
        if event.op in (pb.OP_INSERT, pb.OP_REWRITE):
            raise Damaged("an INSERT of a row that is there: %s" % event)
        if schema.table.replica_identity == pb.REPLICA_IDENTITY_FULL:
            old = split(event.old)
            row.learn(schema)
            changed = {*split(event.new), *event.nulls} if event.op == pb.OP_UPDATE else \
                schema.columns.keys() - set(schema.keys)
            former = {n: v for n, v in row.values.items() if n in changed}
            if former != old:
                raise Damaged("the row is %s before %s" % (former, event))

    def update(self, xid, event, schema, rows, row):
        key = event.new_key or event.key
        there = rows.get(key)
        if there is not None and there.has_seen(xid):
            return
        delta = split((event.new_key or event.key) + event.new)
        if row is None:
            # It was read elsewhere, after this change, or is deleted later. Does the
            # event have all of it?
            row = Row(schema, {}, None)
            if schema.columns.keys() - delta.keys() - set(event.nulls):
                self.again(schema, key, rows)
                return
        row.learn(schema)
        for number in event.nulls:
            row.values.pop(number, None)
        row.values.update(delta)
        rows[key] = row

    def again(self, schema, key, rows):
        """Reads one row anew: it is as of now, and says what it has seen."""
        order = self.key_columns(schema)
        texts = values.row(schema, key)
        numbers = {column.name: number for number, column in schema.columns.items()}
        bound = [texts[numbers[name]] for name in order]
        self.counts["again"] += 1
        rows.pop(key, None)
        name = '"%s"."%s"' % (schema.table.schema, schema.table.name)
        while not self.read((name, bound, bound)):
            pass

    def key_columns(self, schema):
        cursor = self.connection.cursor()
        cursor.execute("SELECT key_columns FROM cdc.snapshot_chunks(%s, 1000000000) LIMIT 1",
                       ('"%s"."%s"' % (schema.table.schema, schema.table.name),))
        result, = cursor.fetchone()
        self.connection.commit()
        return result


def load(workload, copy, seed):
    """Reads the tables while they change."""
    rng = random.Random(seed)
    cursor = copy.connection.cursor()
    chunks = []
    for name in NAMES:
        cursor.execute("SELECT from_key, to_key FROM cdc.snapshot_chunks(%s, 150)", (name,))
        chunks += [(name, from_key, to_key) for from_key, to_key in cursor]
        copy.connection.commit()
    rng.shuffle(chunks)
    database = workload.databases[0]
    sessions = [Session(database, seed * 10 + i, changes, events) for i, (changes, events) in
                enumerate([(CHANGES, ()), (CHANGES, ()), (CHANGES, EVENTS), ([SLOW], ())])]
    for session in sessions:
        session.start()
    try:
        while chunks:
            chunk = chunks.pop(0)
            if not copy.read(chunk, interrupt=rng.random() < 0.15):
                chunks.append(chunk)
            time.sleep(0.01)
        while any(session.statements for session in sessions):
            time.sleep(0.01)
    finally:
        for session in sessions:
            session.enough.set()
        for session in sessions:
            session.join()
    for session in sessions:
        if session.error is not None:
            raise session.error
    return "%d rows, %d interruptions, %d refusals, %d statements beside" % (
        copy.counts["read"], copy.counts["interrupted"], copy.counts["refused"],
        sum(session.done for session in sessions))


def follow(workload, copy, end):
    """Applies the stream of the slot, which is older than all snapshots."""
    workload.receive(workload.slots[0], workload.files[0], end, [], {})
    with open(workload.files[0], "rb") as file:
        data = file.read()
    at = 0
    while at < len(data):
        size, at = read_varint(data, at)
        copy.apply(data[at:at + size])
        at += size + 1
    return "%(applied)d applied, %(skipped)d skipped, %(again)d read again" % copy.counts


def compare(workload, copy):
    """The copy, and the tables as they are now, read whole."""
    now = Copy(workload.databases[0])
    total = 0
    for name in NAMES:
        now.read((name, None, None))
    for name, rows in sorted(now.tables.items()):
        theirs = copy.tables.get(name, {})
        schema = next(iter(rows.values())).schema
        for row in theirs.values():
            row.learn(schema)
        different = [key for key in rows.keys() | theirs.keys()
                     if key not in rows or key not in theirs or
                     {n: v for n, v in theirs[key].values.items() if n in schema.columns} != rows[key].values]
        if different:
            raise Damaged("%s.%s: %d of %d rows differ, for instance\n%s\n%s" % (
                *name, len(different), len(rows),
                *(side[different[0]].values if different[0] in side else None for side in (rows, theirs))))
        total += len(rows)
    return "%d rows" % total


class Join(Workload):
    def changes(self):
        # what is there before the slot begins is nowhere in the stream
        self.psql(self.databases[0], "-c", TABLES)
        self.psql(self.databases[0], "-c",
                  "SELECT cdc.advance_slot('%s', pg_current_wal_flush_lsn())" % self.slots[0])


def run(tap, bindir, directory, name):
    """name: join-SEED"""
    workload = Join(bindir, directory, name)
    workload.prepare()
    workload.changes()
    copy = Copy(workload.databases[0])
    tap.check(name + ": read while it changes", load, workload, copy, int(name.split("-")[1]))
    end = workload.psql(workload.databases[0], "-c", "SELECT pg_current_wal_insert_lsn()").strip()
    tap.check(name + ": followed", follow, workload, copy, end)
    tap.check(name + ": equal to the source", compare, workload, copy)
    copy.connection.close()
    workload.clean()
