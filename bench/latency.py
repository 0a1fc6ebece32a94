"""Measures commit to receipt over rates, sizes and plugins. Started by bench/latency."""

import argparse
import subprocess
import sys
from statistics import median

import psycopg2

import targets
from measured import compare, listed, load, wait_until_free
from plugins import PUBLICATION, choose_plugins, create_slot, drop_slot
from results import Results, describe

TABLE = """
DROP TABLE IF EXISTS latency;
CREATE TABLE latency (id bigint PRIMARY KEY, mark text NOT NULL, payload text NOT NULL)
"""
FIGURES = ("p50", "p99", "p99.9", "longest")


def arguments():
    parser = argparse.ArgumentParser(prog="bench/latency")
    parser.add_argument("client", help=argparse.SUPPRESS)
    parser.add_argument("--rates", default="1000,5000", help="transactions per second")
    parser.add_argument("--payloads", default="100,1000,10000,100000", help="bytes")
    parser.add_argument("--most", type=float, default=20, help="MB of payload per second")
    parser.add_argument("--ddl", default="no,yes", help="with a schema change every 100 ms or without")
    parser.add_argument("--plugins", default="pgoutput-binary,wal2json,cdc")
    parser.add_argument("--seconds", type=int, default=4, help="of each measurement, after one that does not count")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=2, help="sessions")
    parser.add_argument("--check", action="store_true", help="fail where p99 is above pgoutput's")
    parser.add_argument("--json", help="file for the results (default bench-latency.json)")
    return parser.parse_args()


def cases(args):
    """(rate, payload, ddl), without those that --most makes equal."""
    for ddl in listed(args.ddl):
        for payload in listed(args.payloads):
            rates = {min(int(rate), int(args.most * 1e6 / int(payload))) for rate in listed(args.rates)}
            for rate in sorted(rates):
                yield rate, int(payload), ddl == "yes"


def measure(sql, plugin, case, args):
    rate, payload, ddl = case
    sql.execute(TABLE)
    sql.execute("CHECKPOINT")
    create_slot(sql, "latency", plugin)
    command = [args.client, "", "latency", str(rate), str(payload), str(args.seconds), str(args.writers),
               str(int(ddl)), *(f"{name}={value}" for name, value in plugin.options.items())]
    fields = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    wait_until_free(sql, "latency")
    drop_slot(sql, "latency")
    return {"transactions": int(fields[0]), "rate": float(fields[1]), "lost": int(fields[6]),
            **{figure: float(value) for figure, value in zip(FIGURES, fields[2:6])}}


def show(result):
    print(f"\n{result['rate']} transactions/s, {result['payload']} bytes"
          f"{', schema changes' if result['ddl'] else ''}, load {result['load']:.2f}")
    for name, runs in result["plugins"].items():
        middle = {figure: median(run[figure] for run in runs) for figure in FIGURES}
        p99 = [run["p99"] for run in runs]
        reached = median(run["rate"] for run in runs)
        print(f"{name:16}" + "".join(f" {figure} {middle[figure]:8.0f}" for figure in FIGURES) +
              f"  (p99 {min(p99):.0f} to {max(p99):.0f}), {reached:.0f}/s reached"
              f"{', LOST ' + str(sum(run['lost'] for run in runs)) if any(run['lost'] for run in runs) else ''}", flush=True)


def verdict(results):
    """Says how cdc's percentile stands to the other's; true if nowhere missed."""
    figure, against, most = (targets.LATENCY[key] for key in ("percentile", "against", "most"))
    print(f"\n{figure} of cdc over that of {against}, at most {most:g}:")
    words = []
    for result in results:
        if {"cdc", against} <= result["plugins"].keys():
            word, ratio = compare(*([run[figure] for run in result["plugins"][name]] for name in ("cdc", against)), most)
            words.append(word)
            print(f"{word:8}{ratio:.2f}  {result['rate']}/s, {result['payload']} bytes"
                  f"{', schema changes' if result['ddl'] else ''}")
    print(f"{len(words)} targets, {words.count('missed')} missed, {words.count('unclear')} unclear")
    return "missed" not in words


def main():
    args = arguments()
    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(f"CREATE PUBLICATION {PUBLICATION} FOR ALL TABLES")
    chosen = choose_plugins(connection.server_version, args.plugins)
    about = describe(sql)
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), {args.writers} writers, "
          f"{args.seconds} s, {args.rounds} rounds; microseconds from just before COMMIT to receipt, medians of the rounds")
    all_cases = [(case, {plugin.name: [] for plugin in chosen}, []) for case in cases(args)]
    for round_number in range(args.rounds):
        for case, runs, loads in all_cases:
            loads.append(load())
            for k in range(len(chosen)):
                plugin = chosen[(round_number + k) % len(chosen)]
                runs[plugin.name].append(measure(sql, plugin, case, args))
    results = Results(about | {"seconds": args.seconds, "rounds": args.rounds, "writers": args.writers})
    for (rate, payload, ddl), runs, loads in all_cases:
        results.add({"rate": rate, "payload": payload, "ddl": ddl, "load": max(loads), "plugins": runs})
        show(results.all[-1])
    good = verdict(results.all)
    sys.exit(0 if good or not args.check else 1)


main()
