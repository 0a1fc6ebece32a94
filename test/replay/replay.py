"""Runs workloads, reads their streams, applies them and compares.

replay.py BINDIR DIRECTORY NAME...: the servers' programs, where streams go,
and the workloads (workloads/NAME.sql with NAME.pre.sql before it, or
random-SEED). Output is TAP."""

import os
import subprocess
import sys
import time
import traceback

import psycopg2

import compare
import jsonform
import overlay
import stream
import target
import values
from cdc.v1 import cdc_pb2 as pb

HERE = os.path.dirname(os.path.abspath(__file__))

# Settings of a session that must not matter.
ODD_SETTINGS = {
    "datestyle": "German,DMY", "intervalstyle": "iso_8601", "timezone": "Asia/Kolkata",
    "search_path": "cdc,public,pg_temp", "quote_all_identifiers": "on",
    "extra_float_digits": "0", "bytea_output": "escape", "lc_monetary": "C.UTF-8",
    "xmlbinary": "hex",
}

# Gives every table one last event: a column that was altered after the last
# change is announced with it.
LAST_EVENTS = """
DO $$
DECLARE
  t record;
  col name;
  n bigint;
BEGIN
  FOR t IN SELECT c.oid, c.oid::regclass::text AS name FROM pg_class c
           JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE c.relkind = 'r' AND c.relpersistence = 'p'
             AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'cdc')
           ORDER BY 1 LOOP
    EXECUTE format('SELECT count(*) FROM (SELECT FROM ONLY %s LIMIT 1) s', t.name) INTO n;
    SELECT attname INTO col FROM pg_attribute
      WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
        AND attidentity <> 'a'
      ORDER BY attnum LIMIT 1;
    IF n = 0 THEN
      EXECUTE format('TRUNCATE ONLY %s CASCADE', t.name);
    ELSIF col IS NULL THEN
      EXECUTE format('INSERT INTO %s DEFAULT VALUES', t.name);
    ELSE
      EXECUTE format('ALTER TABLE ONLY %s REPLICA IDENTITY FULL', t.name);
      EXECUTE format('UPDATE ONLY %1$s SET %2$I = %2$I WHERE ctid =
        (SELECT min(ctid) FROM ONLY %1$s)', t.name, col);
    END IF;
  END LOOP;
END $$;
"""


class Failed(Exception):
    pass


class Reported(Exception):
    """A failure that was printed."""


FAILURES = (Failed, stream.Damaged, psycopg2.Error, ValueError, LookupError,
            subprocess.TimeoutExpired)


class Workload:
    def __init__(self, bindir, directory, name):
        self.bindir = bindir
        self.name = name
        self.databases = ["cdc_replay_%s_%d" % (name.replace("-", "_"), i) for i in (1, 2)]
        self.slots = ["cdc_replay_%s_%s" % (name.replace("-", "_"), i) for i in "ab"]
        self.files = [os.path.join(directory, "%s.%s" % (name, i)) for i in "ab"]

    def program(self, name, *args, **kwargs):
        environment = {**os.environ, "BINDIR": self.bindir, "PGDATABASE": self.databases[0]}
        environment.update(kwargs.pop("env", {}))
        path = name if name == "bash" else os.path.join(self.bindir, name)
        done = subprocess.run([path, *args], text=True, env=environment, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
        if done.returncode != 0:
            raise Failed("%s failed:\n%s" % (name, done.stdout[-3000:]))
        return done.stdout

    def psql(self, database, *args):
        return self.program("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", database, *args)

    def prepare(self):
        preamble = os.path.join(HERE, "workloads", self.name.split("-")[0] + ".pre.sql")
        for database in self.databases:
            self.psql("postgres", "-c", "DROP DATABASE IF EXISTS " + database,
                      "-c", "CREATE DATABASE " + database)
            if os.path.exists(preamble):
                self.psql(database, "-f", preamble)
        self.psql(self.databases[0], "-c", "CREATE EXTENSION cdc")
        for slot in self.slots:
            self.psql(self.databases[0], "-c", "SELECT cdc.create_slot('%s')" % slot)

    def work(self):
        """Returns the LSN up to which there is something to read."""
        self.prepare()
        self.changes()
        self.psql(self.databases[0], "-c", LAST_EVENTS)
        return self.psql(self.databases[0], "-c", "SELECT pg_current_wal_insert_lsn()").strip()

    def changes(self):
        script = os.path.join(HERE, "workloads", self.name)
        if os.path.exists(script + ".sh"):
            self.program("bash", "-e", script + ".sh")
        else:
            self.psql(self.databases[0], "-f", script + ".sql")

    def receive(self, slot, file, end, options, settings):
        args = ["-d", self.databases[0], "--slot", slot, "--start", "--no-loop", "-f", file,
                "--endpos", end]
        for option in options:
            args += ["-o", option]
        session = " ".join("-c %s=%s" % setting for setting in settings.items())
        self.program("pg_recvlogical", *args, timeout=120,
                     env={"PGOPTIONS": session})

    def parse(self, file):
        with open(file, "rb") as f:
            return stream.read(f.read())

    def peek(self, function, *options):
        """What waits in the first slot, by one of the SQL functions."""
        with target.connect(self.databases[0]) as connection:
            cursor = connection.cursor()
            cursor.execute("SELECT data FROM %s(%%s, NULL, NULL, VARIADIC %%s)" % function,
                           (self.slots[0], ["messages", "*", *options]))
            return [data for data, in cursor]

    def json_form(self, lines, batches):
        """The server's JSON is what the specification makes of the batches."""
        ours = list(jsonform.lines(batches))
        for x, y in zip(lines, ours):
            if x != y:
                raise Failed("the server's line and the specification's:\n%s\n%s" % (x, y))
        if len(lines) != len(ours):
            raise Failed("%d lines, not %d" % (len(lines), len(ours)))
        return "%d lines" % len(ours)

    def parse_rows(self, data):
        return stream.read(b"".join(bytes(d) + b"\n" for d in data))

    def whole_rows(self, batches):
        """Former rows with old = 'full', and schemas in each batch."""
        for batch in batches:
            alone = stream.Reader(cut=True).batch(batch.raw)
            if [rows(e) for e in alone.events] != [rows(e) for e in batch.events]:
                raise Failed("a batch with its schemas says something else alone")
        return "%d former rows" % overlay.check(batches)

    def same_identity(self, one, two):
        """Both streams have the same changes, to the byte."""
        a, b = ([e for batch in batches for e in batch.events] for batches in (one, two))
        for x, y in zip(a, b):
            if x.position != y.position:
                raise Failed("%s in one stream, %s in the other" %
                             (stream.text(x.position), stream.text(y.position)))
            if x.raw != y.raw:
                raise Failed("%s differs between streams:\n%s\n%s" %
                             (stream.text(x.position), x.raw.hex(), y.raw.hex()))
            if x.schema is not None and x.schema.bytes != y.schema.bytes:
                raise Failed("%s has two schemas" % stream.text(x.position))
        if len(a) != len(b):
            raise Failed("%d events in one stream, %d in the other" % (len(a), len(b)))
        return len(a)

    def same_when_cut(self, reader, batches):
        """An event alone, read by somebody who knows nothing else. Of a
        batch with very many, some hundred."""
        for batch in batches:
            pieces = list(stream.cut(reader, batch))
            if not batch.events and stream.Reader(cut=True).batch(pieces[0]).outcome is None:
                raise Failed("a part without events lost its outcome")
            every = len(pieces) // 200 + 1
            for i, (event, piece) in enumerate(zip(batch.events, pieces)):
                if i % every and i < len(pieces) - 1:
                    continue
                alone = stream.Reader(cut=True).batch(piece)
                other = alone.events[0]
                if len(alone.events) != 1 or other.position != event.position or \
                        rows(other) != rows(event):
                    raise Failed("%s is another when cut" % stream.text(event.position))
                if (alone.outcome is not None) != (batch.outcome is not None and
                                                   i == len(pieces) - 1):
                    raise Failed("outcome in the wrong piece")

    def apply_and_compare(self, batches):
        replica = target.Target(self.databases[1])
        for batch in batches:
            replica.apply(batch)
        lost = {key for key, relation in replica.relations.items() if relation.lost}
        source = target.connect(self.databases[0])
        n, lines = compare.differences(source, replica.connection, lost)
        if lines:
            raise Failed("\n".join(lines))
        self.comparison_notices(source, replica)
        ops = ", ".join("%d %s" % (count, pb.Op.Name(op)[3:])
                        for op, count in sorted(replica.counts.items()))
        replica.connection.close()
        source.close()
        return "%d tables, %s" % (n - len(lost), ops)

    def comparison_notices(self, source, replica):
        """A row too many, and one that is missing, must be noticed."""
        table = next(r for r in replica.relations.values() if not r.lost and r.schema.columns)
        replica.run("INSERT INTO %s SELECT FROM generate_series(1, 1)" % table.name)
        if len(compare.differences(source, replica.connection, set())[1]) == 0:
            raise Failed("the comparison does not notice a row")
        replica.connection.rollback()
        met = replica.run("DELETE FROM %s WHERE ctid = (SELECT min(ctid) FROM %s)" %
                          (table.name, table.name))
        if met and len(compare.differences(source, replica.connection, set())[1]) == 0:
            raise Failed("the comparison does not notice a missing row")
        replica.connection.rollback()

    def clean(self):
        for slot in self.slots:
            self.psql(self.databases[0], "-c", "SELECT cdc.drop_slot('%s', true)" % slot)
        for database in self.databases:
            self.psql("postgres", "-c", "DROP DATABASE " + database)


class Random(Workload):
    def changes(self):
        import generate
        print("# " + generate.run(self.databases[0], int(self.name.split("-")[1])))


def rows(event):
    e = event.pb
    if event.schema is None:
        return e
    return [values.row(event.schema, r) for r in (e.key, e.new_key, e.old, e.new)] + \
        [list(e.nulls), list(e.unavailable), e.op, e.rewrite_start]


class Tap:
    def __init__(self):
        self.tests = self.failed = 0

    def check(self, title, function, *args):
        self.tests += 1
        begin = time.time()
        try:
            result = function(*args)
        except FAILURES as e:
            self.failed += 1
            print("not ok %d - %s" % (self.tests, title))
            what = traceback.format_exc() if isinstance(e, (ValueError, LookupError)) else str(e)
            print("".join("#   %s\n" % line for line in what.splitlines()), end="", flush=True)
            raise Reported from e
        note = result + ", " if isinstance(result, str) else ""
        print("ok %d - %s (%s%.1f s)" % (self.tests, title, note, time.time() - begin),
              flush=True)
        return result


def replay(tap, workload):
    name, slots, files = workload.name, workload.slots, workload.files
    end = tap.check(name + ": runs", workload.work)
    # JSON is cut into parts as if schemas were sent in every batch
    options = ["old", "full", "batch_bytes", "5000"]
    lines = workload.peek("pg_logical_slot_peek_changes", "format", "json", *options)
    whole = workload.peek("pg_logical_slot_peek_binary_changes", "schemas", "batch", *options)
    tap.check(name + ": read", workload.receive, slots[0], files[0], end, ["messages=*"], {})
    tap.check(name + ": read in small parts, under odd settings", workload.receive,
              slots[1], files[1], end, ["messages=*", "batch_bytes=700"], ODD_SETTINGS)
    reader, batches = tap.check(name + ": stream as specified", workload.parse, files[0])
    _, small = tap.check(name + ": stream in small parts as specified",
                         workload.parse, files[1])
    tap.check(name + ": the same identities and bytes in both",
              workload.same_identity, batches, small)
    tap.check(name + ": batches cut along their events say the same",
              workload.same_when_cut, reader, batches)
    _, whole = tap.check(name + ": stream of the SQL functions as specified",
                         workload.parse_rows, whole)
    tap.check(name + ": whole former rows are what the stream said before",
              workload.whole_rows, whole)
    tap.check(name + ": the JSON form", workload.json_form, lines, whole)
    tap.check(name + ": applied, equal to the source", workload.apply_and_compare, batches)
    workload.clean()


def main():
    bindir, directory, names = sys.argv[1], sys.argv[2], sys.argv[3:]
    tap = Tap()
    for name in names:
        kind = Random if name.startswith("random-") else Workload
        try:
            replay(tap, kind(bindir, directory, name))
        except Reported:
            pass
    print("1..%d" % tap.tests)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
