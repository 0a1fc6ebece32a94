"""The workloads: each has statements that prepare it, outside of what is
measured, and a way to run it."""

import subprocess
from dataclasses import dataclass
from typing import Callable

ROWS_PER_TRANSACTION = 10_000


@dataclass
class Workload:
    name: str
    size: int  # at scale 1
    unit: str
    prepare: Callable  # (sql, size)
    run: Callable  # (sql, size)


MIXED = """
CREATE TABLE mixed (
    id bigint PRIMARY KEY, quantity integer NOT NULL, price numeric(12,2), code text NOT NULL,
    note text, paid boolean, made timestamptz, weight double precision, token uuid, extra jsonb)
"""

# Text of 7 and 40 characters; one column in ten rows is NULL.
MIXED_ROWS = """
INSERT INTO mixed SELECT
    n, n %% 1000, (n %% 100000) / 100.0, 'c' || lpad((n %% 100000)::text, 6, '0'),
    CASE WHEN n %% 10 > 0 THEN repeat(md5(n::text), 2)::varchar(40) END, n %% 3 = 0,
    '2026-01-01 00:00:00+00'::timestamptz + n * interval '1.001 s', n / 7.0::float8, md5(n::text)::uuid,
    jsonb_build_object('n', n, 'tag', 'x' || n %% 7)
FROM generate_series(%s, %s) n
"""


def ranges(size):
    for first in range(1, size + 1, ROWS_PER_TRANSACTION):
        yield first, min(first + ROWS_PER_TRANSACTION - 1, size)


def fill_mixed(sql, size):
    for first, last in ranges(size):
        sql.execute(MIXED_ROWS, (first, last))


def prepare_insert(sql, size):
    sql.execute("SELECT cdc.unredact(id) FROM cdc.redaction_rules")
    sql.execute("DROP TABLE IF EXISTS mixed")
    sql.execute(MIXED)


def prepare_redacted(sql, size):
    prepare_insert(sql, size)
    sql.execute("SELECT cdc.redact('mixed', 'code', 'hash'), cdc.redact('mixed', 'note', 'mask')")


def prepare_update(sql, size):
    prepare_insert(sql, size)
    sql.execute("ALTER TABLE mixed REPLICA IDENTITY FULL")
    fill_mixed(sql, size)


def run_update(sql, size):
    for first, last in ranges(size):
        sql.execute("UPDATE mixed SET quantity = quantity + 1, note = md5(quantity::text) "
                    "WHERE id BETWEEN %s AND %s", (first, last))


def pgbench(*arguments):
    subprocess.run(["pgbench", *arguments, "postgres"], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


WORKLOADS = [
    # 10 mixed columns
    Workload("insert", 1_000_000, "inserts", prepare_insert, fill_mixed),
    # the same, one of them hashed, one masked
    Workload("redacted", 1_000_000, "inserts", prepare_redacted, fill_mixed),
    # its standard script, TPC-B: 3 updates and an insert a transaction
    Workload("pgbench", 100_000, "transactions",
             lambda sql, size: pgbench("-i", "-q", "-s", "10"),
             lambda sql, size: pgbench("-n", "-c", "2", "-j", "2", "-t", str(max(size // 2, 1)))),
    # REPLICA IDENTITY FULL, 2 of 10 columns
    Workload("update", 300_000, "updates", prepare_update, run_update),
]
