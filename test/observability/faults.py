"""Ten faults, one after the other, in a set-up that is alive (scene.py): the alert that fires for each, after how
long, that no other does, and what the dashboard's panel shows then.

  faults.py BINDIR FOLDER PROGRAMS

The times of alerts are divided by CDC_FACTOR (60: a minute is a second, see scaled.py), bytes are not.
CDC_FAULTS: numbers of those that are wanted, with commas. Prints TAP, and the table of docs/operations.md."""
import dataclasses
import os
import signal
import subprocess
import sys
import time
import typing

from exporter import Exporter
from metrics import alerts
from scaled import duration, scaled
from scene import GO, RELAY, Scene, dashboard, wait

FACTOR = float(os.environ.get("CDC_FACTOR", "60"))
PATIENCE = 150                  # seconds until an alert fires, or all are silent again
KEPT = "4GB"                    # max_slot_wal_keep_size while nothing is wrong
SETTINGS = "max_slot_wal_keep_size = '%s'\n" % KEPT
MB = 1_000_000
FAILOVER = "shop_failover"


@dataclasses.dataclass
class Fault:
    name: str
    do: typing.Callable         # a generator: what it does, then yield, then how it is mended
    alert: str
    slot: str                   # "" for all of them
    panel: str
    shows: typing.Callable      # of the values of each query of the panel, those of the slot
    besides: tuple = ()         # alerts of the slot that are of this fault, too, sooner or later
    without: typing.Callable = lambda scene: None  # why it cannot be tried here


def bulk(scene, megabytes, pause=0.0):
    """WAL that no consumer is sent anything of."""
    for _ in range(megabytes):
        scene.sql("SELECT pg_logical_emit_message(false, 'bulk', repeat('x', 1000000))")
        time.sleep(pause)


def setting(scene, name, value):
    scene.sql("ALTER SYSTEM SET %s = '%s'" % (name, value), "SELECT pg_reload_conf()")


def consumer_stopped(scene):
    scene.go.stop()
    bulk(scene, 20)
    yield
    scene.go.start()


def consumer_slow(scene):
    scene.go.stop()
    scene.go.start("-work", "500ms")
    yield
    scene.go.stop()
    scene.go.start()


def poison_row(scene):
    for number in range(-3, 0):
        scene.sql("INSERT INTO orders (id, total) VALUES (%d, -1)" % number)
        time.sleep(1.1)         # each in a scrape of its own
    yield


def breaking_ddl(scene):
    scene.sql("ALTER TABLE orders DROP COLUMN note")
    yield
    major = scene.sql("SELECT major FROM cdc.schema_versions WHERE relation = 'orders'::regclass AND current")[0][0]
    for consumer in filter(None, (scene.go, scene.rust)):
        consumer.stop()
        consumer.command += ["-versions", "public.orders=%d" % major]
        consumer.start()


def rule_removed(scene):
    scene.sql("SELECT cdc.unredact(id) FROM cdc.redaction_rules")
    yield
    scene.sql("SELECT cdc.redact('people', 'email', 'hash')")


def slot_lost(scene):
    scene.go.stop()
    setting(scene, "max_slot_wal_keep_size", "48MB")
    # Each checkpoint tells the slots that are read how far they may go, and removes what is too old.
    wait("the slot is lost", PATIENCE, lambda: bulk(scene, 4, 0.1) or scene.sql(
        "CHECKPOINT", "SELECT 1 FROM cdc.slots WHERE slot_name = '%s' AND invalidation IS NOT NULL" % GO), 1)
    yield
    setting(scene, "max_slot_wal_keep_size", KEPT)
    scene.sql("SELECT cdc.drop_slot('%s', force => true)" % GO)
    (scene.folder / (GO + ".checkpoint")).unlink()
    scene.go.start()


def disk_nearly_full(scene):
    scene.go.stop()
    setting(scene, "max_slot_wal_keep_size", "96MB")
    for _ in range(15):         # so slowly that who reads keeps up on a machine that is busy
        bulk(scene, 2, 0.1)
        scene.sql("CHECKPOINT")
        time.sleep(0.8)
    yield
    setting(scene, "max_slot_wal_keep_size", KEPT)
    scene.go.start()


def broker_down(scene):
    scene.broker.stop(signal.SIGKILL)
    yield
    scene.broker.start()


def relay_killed(scene):
    scene.relay.stop(signal.SIGKILL)
    bulk(scene, 20)
    yield
    scene.relay.start()


class Standby:
    """Of the scene's server; it takes over slots that are made for it."""

    def __init__(self, scene):
        self.folder, self.server = scene.folder / "standby", scene.server
        self.data = self.folder / "data"
        self.folder.mkdir(exist_ok=True)
        self.server.run("pg_basebackup", "-D", self.data, "-h", scene.folder, "-U", "postgres", "-c", "fast", "-C", "-S", "standby")
        with open(self.data / "postgresql.conf", "a") as f:
            f.write("unix_socket_directories = '%s'\n" % self.folder)
            f.write("primary_conninfo = 'host=%s user=postgres dbname=shop'\nprimary_slot_name = 'standby'\n" % scene.folder)
            f.write("hot_standby_feedback = on\nsync_replication_slots = on\n")
        (self.data / "standby.signal").touch()
        self.server.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start", stdout=subprocess.DEVNULL)
        self.exporter = Exporter(self)

    def stop(self):
        self.exporter.stop()
        self.server.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")


def standby_not_synced(scene):
    # What the slot needs is older than what the standby keeps, and nobody moves the slot on.
    scene.sql("SELECT cdc.create_slot('%s', failover => true)" % FAILOVER)
    bulk(scene, 4, 0.5)
    scene.sql("CHECKPOINT")
    standby = Standby(scene)
    scene.scrape_also(standby.exporter.address)
    try:
        yield
    finally:
        scene.scrape_also()
        standby.stop()
        scene.sql("SELECT cdc.drop_slot('%s', force => true)" % FAILOVER)
        wait("the standby is gone", 30, lambda: scene.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
                                                          "WHERE slot_name = 'standby' AND NOT active"))


FAULTS = (
    Fault("consumer stopped", consumer_stopped, "CdcNoReader", GO, "Lag in WAL", lambda v: max(v[-1]) > 16 * MB),
    Fault("consumer slow", consumer_slow, "CdcLag", GO, "Lag by consumer", lambda v: max(v[0]) > 300 / FACTOR,
          ("CdcReaderHangs", "CdcLagGrows", "CdcHeartbeatStale")),
    Fault("poison row", poison_row, "CdcDeadLetters", GO, "Dead letters by reason", lambda v: max(v[0]) > 0),
    Fault("breaking DDL", breaking_ddl, "CdcVersionMismatch", "", "Other versions than expected", lambda v: max(v[0]) > 0),
    Fault("rule removed", rule_removed, "CdcRedactionStopped", "", "Redacted", lambda v: min(v[0]) == 0),
    Fault("slot lost", slot_lost, "CdcSlotLost", GO, "Slots lost, or nearly", lambda v: v[0] == [1], ("CdcSlotNearlyLost", "CdcNoReader")),
    Fault("disk nearly full", disk_nearly_full, "CdcSlotNearlyLost", GO, "WAL until a slot is lost", lambda v: min(v[0]) < 100 * MB,
          ("CdcNoReader",)),
    Fault("broker down", broker_down, "CdcRelayDown", RELAY, "Relays carrying", lambda v: v[0] == [0],
          ("CdcRelayRestarts", "CdcRelayBroker", "CdcLag", "CdcNoReader", "CdcReconnects")),
    Fault("relay killed", relay_killed, "CdcRelayDown", RELAY, "Slots that are read", lambda v: v[0][0] < v[1][0], ("CdcNoReader",)),
    Fault("standby not synced", standby_not_synced, "CdcSlotUnsynced", FAILOVER, "Slots", lambda v: max(v[-1]) == 1,
          without=lambda scene: scene.version < 170000 and "PostgreSQL %d has no failover slots, 17 has" % (scene.version // 10000)),
)


def shown(scene, fault):
    """[values of each query] of the panel, those of the slot if they have one."""
    return [[value for labels, value in scene.query(query) if not fault.slot or labels.get("slot", fault.slot) == fault.slot]
            for query in dashboard()[fault.panel]]


def is_shown(scene, fault):
    try:
        return fault.shows(shown(scene, fault))
    except (ValueError, IndexError):  # there is nothing yet
        return False


def is_of(fault, alert):
    return alert[1] == (fault.slot or alert[1]) and alert[0] in (fault.alert, *fault.besides)


def silent(scene):
    wait("no alert fires", PATIENCE, lambda: not scene.firing())


def attempt(scene, fault):
    """(seconds that it took to do, seconds until the alert fires, what is wrong)"""
    scene.up()
    silent(scene)
    others, begun, done = set(), time.monotonic(), fault.do(scene)
    next(done)
    doing = time.monotonic() - begun

    def fires():
        firing = scene.firing()
        others.update(alert for alert in firing if not is_of(fault, alert))
        return fault.alert in (name for name, slot in firing if slot == (fault.slot or slot))

    try:
        wait(fault.alert + " fires", PATIENCE, fires)
        seconds = time.monotonic() - begun
        wait("the panel %s shows it" % fault.panel, 10, lambda: is_shown(scene, fault))
        time.sleep(5)
        fires()
    finally:
        next(done, None)
    return doing, seconds, sorted("%s fires for %s, too" % alert for alert in others)


def pending(alert):
    """How many seconds its condition has to hold, by alerts.yaml."""
    return int(duration(alerts()[alert].get("for", "0s"), 1)[:-2]) / 1000


def row(fault, seconds, unscaled):
    return "| %s | `%s` | %.0f s | %s | %s |" % (fault.name, fault.alert, seconds, length(unscaled), fault.panel)


def length(seconds):
    return "%.0f min" % (seconds / 60) if seconds >= 90 else "%.0f s" % seconds


def main():
    sys.stdout.reconfigure(line_buffering=True)
    bindir, folder, programs = sys.argv[1:]
    scene = Scene(bindir, folder, programs, scaled(FACTOR), apart=True, settings=SETTINGS, segment=1)
    wanted = [int(n) for n in os.environ.get("CDC_FAULTS", "").split(",") if n] or range(1, len(FAULTS) + 1)
    failed, table = False, []
    try:
        scene.version = scene.connect().server_version
        for number in wanted:
            fault = FAULTS[number - 1]
            reason = fault.without(scene)
            if reason:
                print("ok %d - %s # SKIP %s" % (number, fault.name, reason), flush=True)
                table.append("| %s | `%s` | | | %s |" % (fault.name, fault.alert, "left out: " + reason))
                continue
            try:
                doing, seconds, wrong = attempt(scene, fault)
                table.append(row(fault, seconds, max(doing + (seconds - doing) * FACTOR, pending(fault.alert))))
            except Exception as e:
                wrong = [repr(e), "fires: %s" % scene.firing()] + scene.told().splitlines()
            failed = failed or bool(wrong)
            print("%s %d - %s: %s" % ("not ok" if wrong else "ok", number, fault.name, fault.alert), flush=True)
            for line in wrong:
                print("#   " + line)
    finally:
        scene.stop()
    print("1..%d" % len(FAULTS))
    print("\n".join("# " + line for line in table))
    return failed


if __name__ == "__main__":
    sys.exit(main())
