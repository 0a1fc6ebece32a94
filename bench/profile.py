"""Samples the walsender while it decodes a workload. Started by bench/profile."""

import argparse
import os
import subprocess
import tempfile

import psycopg2

from drain import drain, end_of_wal
from measured import in_database
from plugins import PUBLICATION, choose_plugins, create_slot, drop_slot
from workloads import choose_workloads


def arguments():
    parser = argparse.ArgumentParser(prog="bench/profile")
    parser.add_argument("--workloads", "--workload", default="insert,pgbench,update")
    parser.add_argument("--plugins", default="cdc")
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--top", type=int, default=15, help="functions to show")
    parser.add_argument("--json", help=argparse.SUPPRESS)
    return parser.parse_args()


def report(data, sort, count):
    said = subprocess.run(["perf", "report", "-i", data, "--stdio", "--no-children", "--sort", sort],
                          check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("#")]
    for line in lines[:count]:
        print("  " + " ".join(word for word in line.split() if word not in ("-", "[.]")))


def profile(sql, workload, chosen, args):
    size = max(int(workload.size * args.scale), 1)
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
    workload.prepare(sql, size)
    for i, plugin in enumerate(chosen):
        create_slot(sql, f"bench_{i}", plugin)
    workload.run(sql, size)
    endpos = end_of_wal(sql)
    for i, plugin in enumerate(chosen):
        with tempfile.NamedTemporaryFile(prefix="cdc-bench-") as data:
            perf = []

            def attach(pid):
                perf.append(subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock:u", "-F", "5000",
                                              "-o", data.name, "-p", str(pid)], stderr=subprocess.DEVNULL))
            drained = drain(sql, f"bench_{i}", plugin, endpos, workload.options.get(plugin.library), attach)
            if perf[0].wait() != 0 or os.path.getsize(data.name) == 0:
                raise SystemExit(f"perf saw nothing of {plugin.name} in {workload.name}: a larger --scale is needed, or a right")
            print(f"\n{workload.name}, {size} {workload.unit}, {plugin.name}: {drained.cpu:.2f} s, "
                  f"of them about {drained.system:.2f} in the kernel", flush=True)
            report(data.name, "dso", 5)
            report(data.name, "dso,symbol", args.top)
        drop_slot(sql, f"bench_{i}")


def main():
    args = arguments()
    workloads = choose_workloads(args.workloads)
    connection = psycopg2.connect("")
    connection.autocommit = True
    chosen = choose_plugins(connection.server_version, args.plugins)
    for workload in workloads:
        in_database(connection.cursor(), workload.name, lambda sql: profile(sql, workload, chosen, args))


main()
