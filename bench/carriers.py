"""What carries changes from a slot to a bus, for bench/relay: the relay, and Debezium on Kafka Connect."""

import os
import signal
import subprocess
import time

from buses import WORK, free_address, wait_for
from drain import cpu_seconds

TICK = os.sysconf("SC_CLK_TCK")


def process_cpu(pid):
    """Seconds of all threads."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_memory(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM"))


class Server:
    """The process of the server that reads a slot: a walsender, or who calls cdc.fetch()."""

    def __init__(self, sql, slot, running=False):
        self.sql, self.slot, self.pid, self.before, self.now = sql, slot, None, 0.0, 0.0
        if running:
            self.look()
            self.before = self.now

    def look(self):
        if self.pid is None:
            self.sql.execute("SELECT active_pid FROM pg_replication_slots WHERE slot_name = %s", (self.slot,))
            row = self.sql.fetchone()
            self.pid = row and row[0]
        if self.pid is not None and (seen := cpu_seconds(self.pid)):
            self.now = seen[0]

    def spent(self):
        return self.now - self.before


def passed(sql, slot, end):
    """Whether a slot is confirmed past a position."""
    sql.execute("SELECT confirmed_flush_lsn > %s::pg_lsn FROM pg_replication_slots WHERE slot_name = %s", (end, slot))
    row = sql.fetchone()
    return bool(row and row[0])


class Relay:
    """cdc-relay over a slot that is there."""

    def __init__(self, bus, transport, slot, prefix, partitions=4):
        self.bus, self.slot, self.prefix, self.process = bus, slot, prefix, None
        self.file = f"{WORK}/{slot}.toml"
        with open(self.file, "w") as f:
            f.write(f'[postgres]\nconn = "dbname={os.environ["PGDATABASE"]}"\nslot = "{slot}"\ntransport = "{transport}"\n'
                    f'[admin]\nlisten = ""\n[log]\nlevel = "warn"\n' + bus.settings(prefix, partitions))

    def start(self):
        self.began = time.monotonic()
        self.log = open(f"{WORK}/logs/{self.slot}.log", "w")
        self.process = subprocess.Popen([f"{WORK}/bin/cdc-relay", "run", "--config", self.file], stderr=self.log)

    def wait(self, server, end):
        """Until all is there; gives the seconds since the start."""
        while not passed(server.sql, self.slot, end):
            if self.process.poll() is not None:
                raise RuntimeError(f"the relay has ended: {self.log.name}: {open(self.log.name).read()[-2000:]}")
            server.look()
            time.sleep(0.05)
        server.look()
        return time.monotonic() - self.began

    def stop(self):
        """CPU seconds and most memory of the process."""
        self.process.send_signal(signal.SIGINT)
        _, status, used = os.wait4(self.process.pid, 0)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.log.close()
        return used.ru_utime + used.ru_stime, used.ru_maxrss * 1024


WORKER = """bootstrap.servers={kafka}
key.converter=org.apache.kafka.connect.json.JsonConverter
value.converter=org.apache.kafka.connect.json.JsonConverter
key.converter.schemas.enable=false
value.converter.schemas.enable=false
offset.storage.file.filename={work}/connect.offsets
offset.flush.interval.ms=1000
producer.compression.type=lz4
plugin.path={plugins}
listeners=http://{rest}
"""

CONNECTOR = """name=bench
connector.class=io.debezium.connector.postgresql.PostgresConnector
tasks.max=1
plugin.name=pgoutput
database.hostname=127.0.0.1
database.port={port}
database.user=postgres
database.password=none
database.dbname={database}
topic.prefix=dbz
slot.name=bench_debezium
publication.name={publication}
snapshot.mode=no_data
poll.interval.ms=10
topic.creation.default.partitions={partitions}
topic.creation.default.replication.factor=1
"""


class Debezium:
    """Its connector on a worker of Kafka Connect, which makes the slot."""

    slot = "bench_debezium"
    prefix = "dbz"

    def __init__(self, bus, publication, partitions=4):
        self.bus = bus
        folder, rest = os.environ["DEBEZIUM"], free_address()
        values = dict(kafka=bus.address, work=WORK, plugins=f"{folder}/plugins", rest=rest, port=os.environ["PGPORT"],
                      database=os.environ["PGDATABASE"], publication=publication, partitions=partitions)
        for name, text in ("worker", WORKER), ("connector", CONNECTOR):
            with open(f"{WORK}/{name}.properties", "w") as f:
                f.write(text.format(**values))
        self.log = open(f"{WORK}/logs/connect.log", "w")
        self.process = subprocess.Popen(["java", "-Xms256m", "-Xmx1g", "-cp", f"{folder}/libs/*",
                                         "org.apache.kafka.connect.cli.ConnectStandalone",
                                         f"{WORK}/worker.properties", f"{WORK}/connector.properties"], stdout=self.log, stderr=self.log)
        try:
            wait_for(rest, self.process)
        except RuntimeError:
            self.stop()
            raise

    def wait_active(self, sql, seconds=600):
        for _ in range(seconds * 5):
            sql.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (self.slot,))
            if (row := sql.fetchone()) and row[0]:
                return
            time.sleep(0.2)
        raise RuntimeError(f"Debezium does not begin: {WORK}/logs/connect.log")

    def wait(self, server, end, seconds=1800):
        began = time.monotonic()
        while not passed(server.sql, self.slot, end):
            if self.process.poll() is not None or time.monotonic() - began > seconds:
                raise RuntimeError(f"Debezium does not come to the end: {WORK}/logs/connect.log")
            server.look()
            time.sleep(0.05)
        server.look()
        return time.monotonic() - began

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()
