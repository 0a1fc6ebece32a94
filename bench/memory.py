"""Streams one large transaction, and changes of many tables, with the no-op
plugin and with cdc. Started by bench/memory."""

import argparse
import sys

import psycopg2

from drain import drain, end_of_wal
from plugins import create_slot, drop_slot, plugins
from results import Results, describe
from workloads import MIXED, MIXED_ROWS

MIB = 1024 * 1024

# Some at a time: a transaction holds a lock on each.
MANY_TABLES = """
CREATE PROCEDURE for_tables(tables int, statement text) LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..tables LOOP
    EXECUTE format(statement, i);
    IF i % 500 = 0 THEN
      COMMIT;
    END IF;
  END LOOP;
END $$"""


def rows(sql, args):
    sql.execute(MIXED_ROWS, (1, args.rows))
    return f"one transaction of {args.rows} rows"


def tables(sql, args):
    sql.execute("CALL for_tables(%s, 'INSERT INTO many_%%s VALUES (1, ''changed once'')')", (args.tables,))
    return f"{args.tables} tables, changed once each"


def measure(sql, chosen, work, args, results):
    """Returns what cdc and the no-op plugin take of their own memory, in bytes."""
    for i, plugin in enumerate(chosen):
        create_slot(sql, f"bench_{i}", plugin)
    title = work(sql, args)
    endpos = end_of_wal(sql)
    sql.execute("SHOW logical_decoding_work_mem")
    print(f"{title}, logical_decoding_work_mem = {sql.fetchone()[0]}")
    print(f"{'':8}{'RssAnon, MiB':>14}{'VmHWM, MiB':>14}{'CPU, s':>10}{'MB out':>10}")
    taken = {}
    for i, plugin in enumerate(chosen):
        d = taken[plugin.name] = drain(sql, f"bench_{i}", plugin, endpos)
        print(f"{plugin.name:8}{d.anonymous / MIB:14.1f}{d.resident / MIB:14.1f}{d.cpu:10.2f}{d.bytes / 1e6:10.1f}", flush=True)
        drop_slot(sql, f"bench_{i}")
    results.add({"workload": work.__name__, "what": title, "plugins": {name: [vars(d)] for name, d in taken.items()}})
    return taken["cdc"].anonymous, taken["no-op"].anonymous


def main():
    parser = argparse.ArgumentParser(prog="bench/memory")
    parser.add_argument("--rows", type=int, default=5_000_000, help="of one transaction; 0: none")
    parser.add_argument("--limit", type=float, default=16, help="MiB that cdc may take above the no-op plugin for them")
    parser.add_argument("--tables", type=int, default=100_000, help="changed once each; 0: none")
    parser.add_argument("--ratio", type=float, default=1.5, help="what cdc may take for them, over the no-op plugin")
    parser.add_argument("--json", help="file for the results (default bench-memory.json)")
    args = parser.parse_args()

    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    sql.execute("CREATE EXTENSION cdc")
    sql.execute(MIXED)
    known = plugins(connection.server_version)
    chosen = [known["no-op"], known["cdc"]]
    good = True
    results = Results(describe(sql))
    if args.rows:
        cdc, noop = measure(sql, chosen, rows, args, results)
        more = (cdc - noop) / MIB
        print(f"cdc takes {more:.1f} MiB more of its own memory than the no-op plugin (limit {args.limit:g})")
        good &= more <= args.limit
    if args.tables:
        sql.execute(MANY_TABLES)
        sql.execute("CALL for_tables(%s, 'CREATE TABLE many_%%s (id int PRIMARY KEY, v text)')", (args.tables,))
        cdc, noop = measure(sql, chosen, tables, args, results)
        print(f"cdc takes {cdc / noop:.2f} of the no-op plugin's own memory (limit {args.ratio:g})")
        good &= cdc / noop <= args.ratio
    sys.exit(0 if good else 1)


main()
