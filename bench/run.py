"""Drains the same WAL through several output plugins, one after another, in
several rounds. Started by bench/run."""

import argparse
import dataclasses
import json
import os
import platform
from statistics import median

import psycopg2

from drain import create_slot, drain, drop_slot, end_of_wal, plugins
from workloads import WORKLOADS

DEFAULT_PLUGINS = "no-op,pgoutput-binary,cdc"


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE", "1")),
                        help="multiplies the sizes of the workloads (default 1, or BENCH_SCALE)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plugins", default=DEFAULT_PLUGINS,
                        help="names separated by commas; also pgoutput-text, wal2json, decoderbufs, cdc-json")
    parser.add_argument("--workloads", default=",".join(w.name for w in WORKLOADS))
    return parser.parse_args()


def measure(sql, workload, chosen, args):
    """One workload: the seconds, bytes and so on of each plugin and round."""
    size = max(int(workload.size * args.scale), 1)
    workload.prepare(sql, size)
    sql.execute("CHECKPOINT")
    for i, plugin in enumerate(chosen):
        create_slot(sql, f"bench_{i}", plugin)
    sql.execute("SELECT pg_current_wal_lsn()")
    begin = sql.fetchone()[0]
    workload.run(sql, size)
    endpos = end_of_wal(sql)
    sql.execute("SELECT %s::pg_lsn - %s::pg_lsn", (endpos, begin))
    wal_bytes = sql.fetchone()[0]

    runs = {plugin.name: [] for plugin in chosen}
    for round_number in range(args.rounds):
        # another one first in each round
        for k in range(len(chosen)):
            i = (round_number + k) % len(chosen)
            drained = drain(sql, f"bench_{i}", chosen[i], endpos)
            runs[chosen[i].name].append(drained)
    for i in range(len(chosen)):
        drop_slot(sql, f"bench_{i}")
    return {"workload": workload.name, "size": size, "unit": workload.unit, "wal_bytes": int(wal_bytes),
            "plugins": {name: [dataclasses.asdict(d) for d in drained] for name, drained in runs.items()}}


def spread(values):
    return f"{min(values):6.2f} {median(values):6.2f} {max(values):6.2f}"


def show(result):
    print(f"\n{result['workload']}: {result['size']} {result['unit']}, {result['wal_bytes'] / 1e6:.0f} MB of WAL")
    print(f"{'':16}{'walsender CPU, s':>20} {'x no-op':>8}{'x pgoutput':>11}  {'wall, s':>20} {'MB out':>8}")
    print(f"{'':16}{'min':>6} {'median':>6} {'max':>6} {'':8}{'':11}  {'min':>6} {'median':>6} {'max':>6}")
    cpu = {name: median(d["cpu"] for d in runs) for name, runs in result["plugins"].items()}
    for name, runs in result["plugins"].items():
        ratios = [f"{cpu[name] / cpu[floor]:.2f}" if floor in cpu else "-" for floor in ("no-op", "pgoutput-binary")]
        print(f"{name:16}{spread([d['cpu'] for d in runs])} {ratios[0]:>8}{ratios[1]:>11}  "
              f"{spread([d['wall'] for d in runs])} {runs[0]['bytes'] / 1e6:8.1f}", flush=True)


def main():
    args = arguments()
    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    known = plugins(connection.server_version)
    chosen = [known[name] for name in args.plugins.split(",")]
    wanted = args.workloads.split(",")
    known = [w.name for w in WORKLOADS]
    for name in wanted:
        if name not in known:
            raise SystemExit(f"no workload is named {name}; there are {', '.join(known)}")
    sql.execute("CREATE EXTENSION cdc")
    sql.execute("CREATE PUBLICATION bench FOR ALL TABLES")

    print(f"PostgreSQL {connection.server_version // 10000}.{connection.server_version % 10000}, "
          f"{os.cpu_count()} processors, {args.rounds} rounds")
    results = []
    for workload in WORKLOADS:
        if workload.name in wanted:
            results.append(measure(sql, workload, chosen, args))
            show(results[-1])

    # bench/lib.sh has opened it
    with os.fdopen(3, "w") as f:
        json.dump({"server_version": connection.server_version, "machine": platform.machine(),
                   "processors": os.cpu_count(), "scale": args.scale, "rounds": args.rounds,
                   "results": results}, f, indent=1)
        f.write("\n")


main()
