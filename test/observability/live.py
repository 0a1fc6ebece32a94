"""The dashboard and the alerts on a Prometheus that looks at a set-up that is alive (scene.py).

  live.py BINDIR FOLDER PROGRAMS

With a word after them, it stays until standard input ends, and says where everything is. Prints TAP."""
import os
import re
import subprocess
import sys

from metrics import FOLDER
from scene import GO, RUST, Scene, wait

# Metrics without a series while all is well. The set-up has dead letters and another version than is expected.
EMPTY = {
    "cdc_relay_missing_topics_total": "a series begins when a topic is missing",
    "cdc_gaps_total": "a series begins with a gap",
    "cdc_read_delay_seconds_bucket": "nobody here reads topics and measures it",
    "cdc_relay_dead_letters_total": "a series begins with a letter of a reason",
}


def expected(scene):
    """What is done on purpose."""
    return {("CdcDeadLetters", GO), ("CdcVersionMismatch", GO)} | ({("CdcVersionMismatch", RUST)} if scene.rust else set())


def disturb(scene):
    """A row that the consumer cannot handle, and a column that goes."""
    scene.sql("INSERT INTO orders (id, total) VALUES (-1, -1)", "ALTER TABLE orders DROP COLUMN note",
              "SELECT pg_logical_emit_message(true, 'audit', 'seen')")


def scrapes(scene):
    scene.up()
    disturb(scene)
    wait("the alerts of what was done", 30, lambda: expected(scene) <= scene.firing())
    return []


def go_test(module, *arguments, **environment):
    return subprocess.run(["go", "test", "-count", "1", *arguments, "."], cwd=FOLDER / module, text=True, capture_output=True,
                          env={**os.environ, **environment})


def queries(scene):
    """TestLive of the dashboard, but for what is empty when all is well."""
    test = go_test("dashboard", "-run", "^TestLive$", CDC_PROMETHEUS=scene.url)
    lines = [line.strip() for line in (test.stdout + test.stderr).splitlines()]
    missing = [line for line in lines if "_test.go:" in line]
    if test.returncode and not missing:
        return lines
    wrong = []
    for line in missing:
        reasons = [EMPTY[name] for name in re.findall(r"\bcdc_\w+", line) if name in EMPTY]
        if reasons and " 0 series (<nil>)" in line:
            print("# %s: %s" % (re.sub(r"^\S+ ", "", line), reasons[0]))
        else:
            wrong.append(line)
    return wrong


def rules(scene):
    """They can be evaluated, and nothing fires but what should."""
    groups = scene.api("rules")["groups"]
    wrong = ["%s: %s" % (rule["name"], rule.get("lastError")) for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    return wrong + sorted("%s fires for %s" % alert for alert in scene.firing() - expected(scene))


def listeners(scene):
    """Nobody else reaches anything of it."""
    pids = {p.process.pid for p in scene.running} | {scene.exporter.process.pid}
    sockets = {}
    for pid in pids:
        for fd in os.listdir("/proc/%d/fd" % pid):
            try:
                found = re.fullmatch(r"socket:\[(\d+)\]", os.readlink("/proc/%d/fd/%s" % (pid, fd)))
            except OSError:
                continue
            if found:
                sockets[found[1]] = pid
    wrong = []
    for family, own in (("tcp", "0100007F:"), ("tcp6", "00000000000000000000000001000000:")):
        for line in open("/proc/net/" + family).readlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in sockets and not words[1].startswith(own):
                wrong.append("process %d listens at %s" % (sockets[words[9]], words[1]))
    return wrong


def traces(scene):
    """From who writes over the relay to the consumer: the test of the example in Go."""
    test = go_test("traces", "-v", **scene.environment)
    lines = (test.stdout + test.stderr).splitlines()
    if test.returncode or not any("--- PASS: TestOneTrace" in line for line in lines):
        return lines
    for line in lines:
        if " trace " in line:
            print("# " + line.split(": ", 1)[1].strip())
    return []


def rust_traces(scene):
    """A consumer in Rust, and somebody who writes with a traceparent. A text is why it is left out."""
    program = scene.programs / "rust-traces"
    if not program.exists():
        return "no Rust toolchain, or not asked for"
    consumer = scene.program("rust-traces", program, "shop_traces", "1")
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    wait("the consumer reads", 30, lambda: scene.sql("SELECT 1 FROM cdc.slots WHERE slot_name = 'shop_traces' AND active"))
    scene.sql("BEGIN; SELECT cdc.set_traceparent('00-%s-%s-01'); INSERT INTO orders (id, total) VALUES (-2, 1); COMMIT" % (trace, span))
    wait("the consumer has handled it", 30, lambda: consumer.process.poll() is not None)
    scene.running.remove(consumer)
    scene.sql("SELECT cdc.drop_slot('shop_traces', force => true)")
    told = [line for line in consumer.words().splitlines() if line.startswith("span ")]
    print("# " + "\n# ".join(told))
    return [] if len(told) == 1 and told[0].endswith("linked to trace %s span %s" % (trace, span)) else consumer.words().splitlines()


TESTS = (("Prometheus scrapes them all, and alerts tell what was done", scrapes), ("the dashboard's queries give data", queries),
         ("alerts are evaluated, and no other fires", rules), ("nothing listens elsewhere than on the loopback", listeners),
         ("one trace from who writes over the relay to the consumer", traces), ("a span in Rust is linked to who wrote", rust_traces))


def main():
    sys.stdout.reconfigure(line_buffering=True)
    bindir, folder, programs, *stay = sys.argv[1:]
    scene = Scene(bindir, folder, programs, (FOLDER / "alerts.yaml").read_text())
    failed = False
    try:
        for number, (name, test) in enumerate(TESTS, 1):
            try:
                wrong = test(scene)
            except Exception as e:
                wrong = [str(e)] + scene.told().splitlines()
            if isinstance(wrong, str):
                print("ok %d - %s # SKIP %s" % (number, name, wrong))
                continue
            failed = failed or bool(wrong)
            print("%s %d - %s" % ("not ok" if wrong else "ok", number, name))
            for line in wrong:
                print("#   " + line)
        if stay:
            print("# Prometheus: %s" % scene.url)
            print("# cdc-relay: http://%s/" % scene.jobs["relay"])
            print("# PostgreSQL: PGHOST=%s PGUSER=postgres PGDATABASE=shop; until standard input ends" % scene.folder)
            sys.stdin.read()
    finally:
        scene.stop()
    print("1..%d" % len(TESTS))
    return failed


if __name__ == "__main__":
    sys.exit(main())
