"""Streams one large transaction with the no-op plugin and with cdc. Started by
bench/memory."""

import argparse
import json
import os
import sys

import psycopg2

from drain import create_slot, drain, end_of_wal, plugins
from workloads import MIXED, MIXED_ROWS

MIB = 1024 * 1024


def main():
    parser = argparse.ArgumentParser(prog="bench/memory")
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--limit", type=float, default=16, help="MiB that cdc may take above the no-op plugin")
    args = parser.parse_args()

    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(MIXED)
    known = plugins(connection.server_version)
    chosen = [known["no-op"], known["cdc"]]
    for i, plugin in enumerate(chosen):
        create_slot(sql, f"bench_{i}", plugin)
    sql.execute(MIXED_ROWS, (1, args.rows))
    endpos = end_of_wal(sql)
    sql.execute("SHOW logical_decoding_work_mem")
    work_mem = sql.fetchone()[0]

    print(f"one transaction of {args.rows} rows, logical_decoding_work_mem = {work_mem}")
    print(f"{'':8}{'RssAnon, MiB':>14}{'VmHWM, MiB':>14}{'CPU, s':>10}{'MB out':>10}")
    taken = {}
    for i, plugin in enumerate(chosen):
        d = drain(sql, f"bench_{i}", plugin, endpos, memory=True)
        taken[plugin.name] = d
        print(f"{plugin.name:8}{d.anonymous / MIB:14.1f}{d.resident / MIB:14.1f}{d.cpu:10.2f}{d.bytes / 1e6:10.1f}", flush=True)
    more = (taken["cdc"].anonymous - taken["no-op"].anonymous) / MIB
    print(f"cdc takes {more:.1f} MiB more of its own memory than the no-op plugin (limit {args.limit:g})")
    with os.fdopen(3, "w") as f:
        json.dump({name: vars(d) for name, d in taken.items()}, f, indent=1)
        f.write("\n")
    sys.exit(0 if more <= args.limit else 1)


main()
