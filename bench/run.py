"""Drains the same WAL through several output plugins, one after another, in
several rounds. Started by bench/run."""

import argparse
import dataclasses
import os
import sys

import psycopg2

import report
from drain import drain, end_of_wal
from measured import in_database, load
from plugins import DEFAULT, PUBLICATION, choose_plugins, create_slot, drop_slot
from results import Results, describe
from workloads import WORKLOADS, choose_workloads


def arguments():
    parser = argparse.ArgumentParser(prog="bench/run")
    parser.add_argument("--scale", type=float, default=float(os.environ.get("BENCH_SCALE", "1")),
                        help="multiplies the sizes of the workloads (default 1, or BENCH_SCALE)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--plugins", default=DEFAULT,
                        help=f"names separated by commas (default {DEFAULT}); also cdc-publication, cdc-json, "
                             "and cdc:batch_bytes=8192:old=full for options")
    parser.add_argument("--workloads", "--workload", default=",".join(w.name for w in WORKLOADS),
                        help="names separated by commas (default: all)")
    parser.add_argument("--check", action="store_true", help="fail if a target of bench/targets.py is missed")
    parser.add_argument("--json", help="file for the results (default bench-run.json)")
    return parser.parse_args()


def measure(sql, workload, chosen, args):
    """One workload: the seconds, bytes and so on of each plugin and round."""
    size = max(int(workload.size * args.scale), 1)
    chosen = [plugin for plugin in chosen if plugin.library not in workload.without]
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
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
    # so that nothing is written back while the first of them is measured
    sql.execute("CHECKPOINT")

    busy = load()
    runs = {plugin.name: [] for plugin in chosen}
    for round_number in range(min(args.rounds, workload.rounds)):
        # another one first in each round
        for k in range(len(chosen)):
            i = (round_number + k) % len(chosen)
            drained = drain(sql, f"bench_{i}", chosen[i], endpos, workload.options.get(chosen[i].library))
            runs[chosen[i].name].append(drained)
    for i in range(len(chosen)):
        drop_slot(sql, f"bench_{i}")
    return {"workload": workload.name, "what": workload.what, "size": size, "unit": workload.unit,
            "events": size * workload.events, "wal_bytes": int(wal_bytes), "load": busy,
            "plugins": {name: [dataclasses.asdict(d) for d in drained] for name, drained in runs.items()}}


def main():
    args = arguments()
    workloads = choose_workloads(args.workloads)
    connection = psycopg2.connect("")
    connection.autocommit = True
    server = connection.cursor()
    chosen = choose_plugins(connection.server_version, args.plugins)

    about = describe(server) | {
        "scale": args.scale, "rounds": args.rounds,
        "configurations": {p.name: {"library": p.library, "options": p.options, "who": p.who, "peer": p.peer}
                           for p in chosen}}
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), "
          f"scale {args.scale:g}, {args.rounds} rounds")
    for plugin in chosen:
        print(f"{plugin.name:16} {plugin.who}: {plugin.library}",
              *(f"{name}={value}" for name, value in plugin.options.items()))
    for workload in workloads:
        for library, options in workload.options.items():
            print(f"in {workload.name}, also {library}", *(f"{name}={value}" for name, value in options.items()))
    print("CPU and MiB are of the walsender; x peer: over the best of the others, cdc and no-op apart")

    results = Results(about)
    for workload in workloads:
        result = in_database(server, workload.name, lambda sql: measure(sql, workload, chosen, args))
        results.add(result)
        report.show(result, about["configurations"])
    good = report.verdict(results.all)
    sys.exit(0 if good or not args.check else 1)


main()
