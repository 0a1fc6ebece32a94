"""pgbench beside consumers that keep up. Started by bench/writers."""

import argparse
import re
import subprocess
import sys
import time
from statistics import median

import psycopg2

import targets
from drain import cpu_seconds
from measured import compare, load, wait_until_free
from plugins import PUBLICATION, choose_plugins, create_slot, drop_slot
from results import Results, describe

NONE = "no slot"
SLOT = "writers"


def arguments():
    parser = argparse.ArgumentParser(prog="bench/writers")
    parser.add_argument("--plugins", default="pgoutput-binary,cdc")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=2, help="sessions of pgbench")
    parser.add_argument("--check", action="store_true", help="fail if cdc costs more than pgoutput")
    parser.add_argument("--json", help="file for the results (default bench-writers.json)")
    return parser.parse_args()


def pgbench(args):
    done = subprocess.run(["pgbench", "-n", "-c", str(args.clients), "-j", str(args.clients), "-T", str(args.seconds),
                           "postgres"], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return float(re.search(r"^tps = ([0-9.]+)", done.stdout, re.M)[1])


def behind(sql):
    """Bytes of WAL that have not been decoded and sent, and the walsender."""
    sql.execute("SELECT pg_current_wal_flush_lsn() - sent_lsn, pid FROM pg_stat_replication")
    return [int(value) for value in sql.fetchone()]


def measure(sql, plugin, args):
    sql.execute("VACUUM")
    sql.execute("CHECKPOINT")
    if plugin is None:
        return {"tps": pgbench(args)}
    create_slot(sql, SLOT, plugin)
    command = ["pg_recvlogical", "-d", "postgres", "-S", SLOT, "--start", "--no-loop", "--fsync-interval=0",
               "--status-interval=1", "-f", "/dev/null"]
    for name, value in plugin.options.items():
        command += ["-o", f"{name}={value}"]
    consumer = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while True:
            sql.execute("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'")
            if sql.fetchone()[0]:
                break
            if consumer.poll() is not None:
                raise RuntimeError(f"pg_recvlogical ended for {plugin.name}")
            time.sleep(0.01)
        tps = pgbench(args)
        lag, walsender = behind(sql)
        begin = time.monotonic()
        while behind(sql)[0] > 0:
            time.sleep(0.01)
        caught_up = time.monotonic() - begin
        cpu = cpu_seconds(walsender)[0]
    finally:
        consumer.terminate()
        consumer.wait()
    wait_until_free(sql, SLOT)
    drop_slot(sql, SLOT)
    return {"tps": tps, "behind": lag, "caught_up": caught_up, "cpu": cpu,
            "microseconds": cpu * 1e6 / (tps * args.seconds)}


def show(runs):
    base = median(run["tps"] for run in runs[NONE])
    print(f"{'':16}{'TPS: min':>10}{'median':>9}{'max':>9}{'cost':>8}   walsender CPU a transaction, WAL behind at the end, "
          "seconds to catch up")
    for name, measured in runs.items():
        tps = [run["tps"] for run in measured]
        line = f"{name:16}{min(tps):10.0f}{median(tps):9.0f}{max(tps):9.0f}{100 * (1 - median(tps) / base):7.1f}%"
        if "cpu" in measured[0]:
            cpu, lag, seconds = (median(run[key] for run in measured) for key in ("microseconds", "behind", "caught_up"))
            line += f"   {cpu:.0f} us, {lag / 1e6:.2f} MB, {seconds:.2f} s"
        print(line, flush=True)


def verdict(runs):
    against, most = targets.WRITERS["against"], targets.WRITERS["most"]
    if "cdc" not in runs or against not in runs:
        return True
    # seconds for each transaction
    word, ratio = compare(*([1 / run["tps"] for run in runs[name]] for name in ("cdc", against)), most)
    print(f"{word}: a transaction takes {ratio:.3f} of the time that it takes with {against}, at most {most:g}")
    return word != "missed"


def main():
    args = arguments()
    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
    chosen = [None, *choose_plugins(connection.server_version, args.plugins)]
    subprocess.run(["pgbench", "-i", "-q", "-s", "10", "postgres"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    about = describe(sql)
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), pgbench -s 10, "
          f"{args.clients} clients as fast as they can, {args.seconds} s, {args.rounds} rounds, fsync off, load {load():.2f}")
    pgbench(args)  # warms up
    runs = {plugin.name if plugin else NONE: [] for plugin in chosen}
    for round_number in range(args.rounds):
        for k in range(len(chosen)):
            plugin = chosen[(round_number + k) % len(chosen)]
            runs[plugin.name if plugin else NONE].append(measure(sql, plugin, args))
    Results(about | {"seconds": args.seconds, "clients": args.clients}).add({"plugins": runs})
    show(runs)
    good = verdict(runs)
    sys.exit(0 if good or not args.check else 1)


main()
