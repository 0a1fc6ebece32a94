"""What the registry costs DDL. Started by bench/registry."""

import argparse
import sys
import time
from statistics import median, quantiles

import psycopg2

from measured import load
from results import Results, describe

MOST = 10  # ms, median
AT_ONCE = 500  # tables made in one transaction

# what, statement; {n} counts. Tables r_1, r_2 ... are registered, u_1, u_2 ... are not.
FORMS = (
    ("ADD COLUMN, registered", "ALTER TABLE r_{n} ADD added int"),
    ("DROP COLUMN, registered", "ALTER TABLE r_{n} DROP note"),
    ("RENAME COLUMN, registered", "ALTER TABLE r_{n} RENAME name TO title"),
    ("ADD COLUMN, not registered", "ALTER TABLE u_{n} ADD added int"),
    ("CREATE TABLE", "CREATE TABLE n_{n} (id int PRIMARY KEY)"),
    ("CREATE INDEX, registered", "CREATE INDEX ON r_{n} (id)"),
    ("CREATE VIEW", "CREATE VIEW v_{n} AS SELECT id FROM r_{n}"),
    ("ALTER TYPE ADD VALUE, of one table", "ALTER TYPE mood_{n} ADD VALUE 'x{m}'"),
    ("CREATE FUNCTION", "CREATE FUNCTION f_{n}() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
    ("DROP TABLE, not registered", "DROP TABLE u_{n}"),
)


def arguments():
    parser = argparse.ArgumentParser(prog="bench/registry")
    parser.add_argument("--tables", type=int, default=10_000, help="registered")
    parser.add_argument("--statements", type=int, default=200, help="of each form")
    parser.add_argument("--check", action="store_true", help="fail where a statement takes 10 ms or more")
    parser.add_argument("--json", help="file for the results (default bench-registry.json)")
    return parser.parse_args()


def prepare(sql, args):
    sql.execute("CREATE EXTENSION cdc; SET client_min_messages = error")
    for first in range(1, args.tables + 1, AT_ONCE):
        last = min(first + AT_ONCE - 1, args.tables)
        sql.execute(f"""DO $$ BEGIN FOR n IN {first}..{last} LOOP
            EXECUTE format('CREATE TABLE r_%s (id int PRIMARY KEY, name text, note text)', n);
            PERFORM cdc.register(format('r_%s', n)::regclass, 'full');
          END LOOP; END $$""")
    # half for each way of measuring
    for n in range(1, 2 * args.statements + 1):
        sql.execute(f"CREATE TYPE mood_{n} AS ENUM ('a'); ALTER TABLE r_{n} ADD mood mood_{n}; CREATE TABLE u_{n} (id int PRIMARY KEY)")
    sql.execute("VACUUM ANALYZE")


def milliseconds(sql, statement):
    begin = time.perf_counter()
    sql.execute(statement)
    return 1000 * (time.perf_counter() - begin)


def switch(sql, how):
    for trigger in ("cdc_watch_commands", "cdc_record_schemas"):
        sql.execute(f"ALTER EVENT TRIGGER {trigger} {how}")


def measure(sql, args):
    """Times by form: with the event triggers, and without. In turns, on other tables."""
    times = {name: ([], []) for name, _ in FORMS}
    for name, form in FORMS:
        for k in range(0, args.statements, 20):
            for way, how in ((0, "ENABLE ALWAYS"), (1, "DISABLE")):
                switch(sql, how)
                for n in range(k + 1, min(k + 20, args.statements) + 1):
                    place = n + way * args.statements
                    times[name][way].append(milliseconds(sql, form.format(n=place, m=place)))
    return times


def main():
    args = arguments()
    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    about = describe(sql)
    prepare(sql, args)
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), {args.tables} registered tables, "
          f"{args.statements} statements of each form, fsync off, load {load():.2f}; milliseconds")
    times = measure(sql, args)
    Results(about | {"tables": args.tables}).add({"forms": times})
    print(f"{'':38}{'median':>8}{'p95':>8}{'max':>8}   without the registry: median")
    slow = []
    for name, (with_it, without) in times.items():
        middle = median(with_it)
        print(f"{name:38}{middle:8.2f}{quantiles(with_it, n=20)[-1]:8.2f}{max(with_it):8.2f}{median(without):12.2f}")
        if middle >= MOST:
            slow.append(name)
    for name in slow:
        print(f"missed: {name}: {MOST} ms or more")
    sys.exit(1 if slow and args.check else 0)


main()
