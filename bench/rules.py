"""What rules of redaction cost. Started by bench/rules."""

import argparse
import subprocess
import sys
import time
from statistics import median

import psycopg2

from measured import load
from results import Results, describe

MOST_MORE = 2  # ms, of a statement that no rule concerns
MOST_RESTORE = 1.2
MOST_VIEW = 500  # ms
RESTORED = 200  # partitions

UNRELATED = ("CREATE TEMP TABLE temp_{n} (id int, v text)", "CREATE TABLE plain_{n} (id int, v text)",
             "ALTER TABLE plain_{n} ADD w int", "DROP TABLE plain_{n}")
VIEWS = ("TABLE cdc.redaction_rules", "SELECT * FROM cdc.redaction_report()", "SELECT * FROM cdc.security_report()")


def arguments():
    parser = argparse.ArgumentParser(prog="bench/rules")
    parser.add_argument("--partitions", type=int, default=1500, help="under two rules")
    parser.add_argument("--rules", type=int, default=6000, help="for columns of ordinary tables")
    parser.add_argument("--statements", type=int, default=200, help="of each form")
    parser.add_argument("--check", action="store_true", help="fail where one of the limits is passed")
    parser.add_argument("--json", help="file for the results (default bench-rules.json)")
    return parser.parse_args()


def connect(database):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection.cursor()


def make(database, template="template0"):
    sql = connect("postgres")
    sql.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
    return connect(database)


def milliseconds(sql, statement):
    begin = time.perf_counter()
    sql.execute(statement)
    return 1000 * (time.perf_counter() - begin)


def make_tables(sql, args):
    sql.execute("CREATE TABLE big (id int, email text, pw text) PARTITION BY RANGE (id)")
    for first in range(0, args.partitions, 100):
        sql.execute(f"""DO $$ BEGIN FOR n IN {first}..{min(first + 100, args.partitions) - 1} LOOP
            EXECUTE format('CREATE TABLE big_%s PARTITION OF big FOR VALUES FROM (%s) TO (%s)', n, n, n + 1);
          END LOOP; END $$""")
    for n in range(0, args.rules, 100):
        columns = ", ".join(f"c{i} text" for i in range(100))
        sql.execute(f"CREATE TABLE wide_{n // 100} (id int PRIMARY KEY, {columns})")


def make_rules(sql, args):
    sql.execute("SELECT cdc.redact('big', 'email', 'hash'), cdc.redact('big', 'pw', 'drop')")
    for n in range(0, args.rules, 100):
        sql.execute(f"SELECT cdc.redact('wide_{n // 100}', format('c%s', i)::name, 'mask') FROM generate_series(0, 99) i")


def unrelated(cursors, args):
    """Times by statement and database, in turns."""
    times = {form: [[] for _ in cursors] for form in UNRELATED}
    for n in range(args.statements):
        for form in UNRELATED:
            for way, sql in enumerate(cursors):
                times[form][way].append(milliseconds(sql, form.format(n=n)))
    return times


def restore(name, with_rule):
    """Seconds of restoring a dump of partitions, under a rule or none."""
    sql = make(f"{name}_from")
    sql.execute("CREATE EXTENSION cdc")
    args = argparse.Namespace(partitions=RESTORED, rules=0)
    make_tables(sql, args)
    if with_rule:
        sql.execute("SELECT cdc.redact('big', 'email', 'hash')")
    dump = subprocess.run(["pg_dump", f"{name}_from"], check=True, capture_output=True).stdout
    make(f"{name}_to")
    begin = time.perf_counter()
    subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-d", f"{name}_to"], input=dump, check=True, capture_output=True)
    return time.perf_counter() - begin


def main():
    args = arguments()
    none, beside = make("rules_none"), make("rules_many")
    for sql in (none, beside):
        sql.execute("CREATE EXTENSION cdc")
        make_tables(sql, args)
    make_rules(beside, args)
    about = describe(beside)
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), rules on {args.partitions} partitions "
          f"and {args.rules} others, {args.statements} statements of each form, fsync off, load {load():.2f}")
    missed = []
    times = unrelated((none, beside), args)
    print(f"{'milliseconds (median)':50}{'none':>8}{'rules':>8}")
    for form, (without, with_rules) in times.items():
        middle, beside_them = median(without), median(with_rules)
        print(f"{form:50}{middle:8.2f}{beside_them:8.2f}")
        if beside_them > middle + MOST_MORE:
            missed.append(f"{form}: {MOST_MORE} ms more")
    views = {}
    for view in VIEWS:
        views[view] = median(milliseconds(beside, view) for _ in range(5))
        print(f"{view:50}{'':8}{views[view]:8.1f}")
        if views[view] >= MOST_VIEW:
            missed.append(f"{view}: {MOST_VIEW} ms or more")
    restores = [(restore(f"without_{k}", False), restore(f"with_{k}", True)) for k in range(5)]
    without, with_rule = (median(r[way] for r in restores) for way in (0, 1))
    print(f"restoring {RESTORED} partitions, seconds (median of 5)   {without:8.2f}{with_rule:8.2f}")
    if with_rule > MOST_RESTORE * without:
        missed.append(f"restore: {MOST_RESTORE} times")
    Results(about).add({"statements": times, "views": views, "restores": restores})
    for what in missed:
        print(f"missed: {what}")
    sys.exit(1 if missed and args.check else 0)


main()
