"""Workloads: what runs on the source, and how its changes are read."""

import atexit
import glob
import os
import re
import signal
import subprocess
import threading
import time

import aborts
import ddl
import generate
import noted
import sessions
import target
from tap import Failed

HERE = os.path.dirname(os.path.abspath(__file__))


class Workload:
    def __init__(self, bindir, directory, name):
        self.bindir = bindir
        self.name = name
        # what both databases have
        self.preamble = os.path.join(HERE, "workloads", name + ".pre.sql")
        self.databases = ["cdc_replay_%s_%d" % (name.replace("-", "_"), i) for i in (1, 2)]
        self.slots = ["cdc_replay_%s_%s" % (name.replace("-", "_"), i) for i in "abcdefg"]
        self.files = [os.path.join(directory, "%s.%s" % (name, i)) for i in "abcdefg"]

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
        self.psql("postgres", "-c", "SELECT pg_drop_replication_slot(slot_name) FROM "
                  "pg_replication_slots WHERE slot_name IN ('%s')" % "', '".join(self.slots))
        for database in self.databases:
            self.psql("postgres", "-c", "DROP DATABASE IF EXISTS " + database,
                      "-c", "CREATE DATABASE " + database)
            if os.path.exists(self.preamble):
                self.psql(database, "-f", self.preamble)
        self.psql(self.databases[0], "-c", "CREATE EXTENSION cdc")
        for slot in self.slots:
            self.psql(self.databases[0], "-c", "SELECT cdc.create_slot('%s', two_phase => %s)" %
                      (slot, slot in self.slots[3:6]))
        self.notes = []                 # of the source after its transactions
        self.pieces = []                # files of the last slot, one of each connection

    def work(self):
        """Returns the LSN up to which there is something to read."""
        self.prepare()
        self.live = Live(self, self.slots[5], self.files[5])
        self.changes()
        # what was written by nobody's COMMIT would be flushed later, between two readings
        return self.psql(self.databases[0], "-c", "CHECKPOINT", "-c", "SELECT pg_current_wal_insert_lsn()").strip()

    def changes(self):
        script = os.path.join(HERE, "workloads", self.name)
        if os.path.exists(script + ".sh"):
            self.program("bash", "-e", script + ".sh")
        else:
            self.psql(self.databases[0], "-f", script + ".sql")

    def receive_piece(self, end=None):
        """What there is for a consumer that comes back now and then. Its first
        connection does not switch two_phase on."""
        end = end or self.psql(self.databases[0], "-c", "SELECT pg_current_wal_flush_lsn()").strip()
        options = ["messages=*", "streaming=on"] + ["two_phase=on"] * bool(self.pieces)
        self.pieces.append("%s%d" % (self.files[6], len(self.pieces)))
        self.receive(self.slots[6], self.pieces[-1], end, options,
                     {"logical_decoding_work_mem": "64kB"})

    def receive_live(self, end):
        """The rest of what was read all the while."""
        return self.live.finish(end)

    def receive(self, slot, file, end, options, settings):
        args = ["-d", self.databases[0], "--slot", slot, "--start", "--no-loop", "-f", file,
                "--endpos", end]
        for option in options:
            args += ["-o", option]
        session = " ".join("-c %s=%s" % setting for setting in settings.items())
        self.program("pg_recvlogical", *args, timeout=120, env={"PGOPTIONS": session})

    def peek(self, function, *options):
        """What waits in the first slot, by one of the SQL functions."""
        connection = target.connect(self.databases[0])
        cursor = connection.cursor()
        cursor.execute("SELECT data FROM %s(%%s, NULL, NULL, VARIADIC %%s)" % function,
                       (self.slots[0], ["messages", "*", *options]))
        data = [data for data, in cursor]
        connection.close()
        return data

    def clean(self):
        for slot in self.slots:
            self.psql(self.databases[0], "-c", "SELECT cdc.drop_slot('%s', true)" % slot)
        for database in self.databases:
            self.psql("postgres", "-c", "DROP DATABASE " + database)


class Live:
    """Reads a slot while it changes: transactions that are in progress, some of
    which are rolled back meanwhile, and prepared ones. Where one of these is rolled
    back just while it is decoded, the connection ends, and the reader comes back."""

    # the extension's own error, the server's, and what comes until a walsender has ended
    EXCUSED = re.compile("was rolled back while it was decoded|could not map file|is active for PID")

    def __init__(self, workload, slot, file):
        self.workload, self.slot, self.file = workload, slot, file
        self.files = []                 # one of each connection
        self.failure = None
        self.stopping = False
        atexit.register(lambda: self.process.kill())
        self.connect()
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def connect(self):
        self.files.append("%s%d" % (self.file, len(self.files)))
        environment = {**os.environ, "PGOPTIONS": "-c logical_decoding_work_mem=64kB"}
        self.process = subprocess.Popen(
            [os.path.join(self.workload.bindir, "pg_recvlogical"), "-d", self.workload.databases[0],
             "--slot", self.slot, "--start", "--no-loop", "-f", self.files[-1], "-s", "1", "-F", "0",
             "-o", "messages=*", "-o", "streaming=on", "-o", "two_phase=on"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)

    def watch(self):
        while True:
            _, said = self.process.communicate()
            if self.process.returncode != 0 and not self.EXCUSED.search(said):
                self.failure = "%s: %s" % (self.process.returncode, said)
                return
            if self.stopping:
                return
            time.sleep(0.1)
            if not os.path.exists(self.files[-1]):
                self.files.pop()        # the slot was not free yet
            self.connect()

    def finish(self, end):
        deadline = time.time() + 120
        reached = ""
        while self.failure is None and reached != "t" and time.time() < deadline:
            time.sleep(0.2)
            reached = self.workload.psql(
                self.workload.databases[0], "-c",
                "SELECT confirmed_flush_lsn >= '%s' FROM pg_replication_slots WHERE slot_name = '%s'"
                % (end, self.slot)).strip()
        self.stopping = True
        self.process.send_signal(signal.SIGINT)
        self.watcher.join(60)
        if self.failure is not None or reached != "t" or self.watcher.is_alive():
            raise Failed("pg_recvlogical ended with %s, all was confirmed: %s" % (self.failure, reached))
        self.files = [file for file in self.files if os.path.exists(file)]
        return "%d connections" % len(self.files)


class Random(Workload):
    """random-SEED, and large-SEED with large values only"""

    def __init__(self, *args):
        super().__init__(*args)
        self.preamble = os.path.join(HERE, "workloads", "random.pre.sql")

    def generator(self):
        kind, seed = self.name.split("-")
        if kind == "large":
            return generate.Generator(int(seed), generate.TOAST_TYPES, True)
        return generate.Generator(int(seed))

    def changes(self):
        target_labels = ["ALTER TYPE grows ADD VALUE IF NOT EXISTS 'g%d'" % i
                         for i in range(1, generate.LABELS + 1)]
        self.psql(self.databases[1], "-c", "; ".join(target_labels))
        print("# " + generate.run(self.databases[0], self.generator(), between=self.receive_piece))


class Changes(Workload):
    """changes-SEED: random DDL, and mixed-SEED by several sessions; the source is looked at
    after each transaction"""

    def __init__(self, *args):
        super().__init__(*args)
        self.preamble = os.path.join(HERE, "workloads", "changes.pre.sql")

    def changes(self):
        kind, seed = self.name.split("-")
        generator = ddl.Generator(int(seed), 3 if kind == "mixed" else 1)
        source = noted.Source(self.databases[0])
        try:
            print("# " + sessions.run(self.databases[0], generator, source,
                                      ddl.statements(), self.receive_piece))
        finally:
            self.notes = source.close()


class History(Workload):
    """history-NAME: the migrations in test/history/NAME, a transaction each"""

    def __init__(self, *args):
        super().__init__(*args)
        # rules are left out: what is read live, before one is made, is not redacted, and in a
        # backlog it is, also after the rule was removed
        self.steps = [step for step in
                      sorted(glob.glob(os.path.join(HERE, "..", "history", self.name.split("-")[1], "*.sql")))
                      if not step.endswith("_rule.sql")]
        self.preamble = self.steps.pop(0)

    def changes(self):
        source = noted.Source(self.databases[0])
        try:
            for step in self.steps:
                self.step(source, step)
                self.receive_piece()
        finally:
            self.notes = source.close()

    def step(self, source, step):
        """In a transaction. Labels are no part of the stream."""
        with open(step) as file:
            types = re.findall(r"^ALTER TYPE .* ADD VALUE .*;$", file.read(), re.M)
        said = self.psql(self.databases[0], "-1", "-f", step, "-c",
                         "SELECT pg_current_xact_id_if_assigned()::text::bigint")
        source.committed(int(said.splitlines()[-1]), [(0, label) for label in types],
                         os.path.basename(step))


class Aborts(Workload):
    def changes(self):
        aborts.run(self.databases[0], int(self.name.split("-")[1]))
