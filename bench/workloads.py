"""The workloads: each has statements that prepare it, outside of what is
measured, and a way to run it. Each has a database of its own."""

import subprocess
from dataclasses import dataclass, field
from typing import Callable

import psycopg2

from plugins import PUBLICATION

ROWS_PER_TRANSACTION = 10_000
TABLES = 1000


@dataclass
class Workload:
    name: str
    what: str
    size: int  # at scale 1
    unit: str
    prepare: Callable  # (sql, size)
    run: Callable  # (sql, size)
    events: float = 1  # row changes for each unit
    options: dict[str, dict[str, str]] = field(default_factory=dict)  # more of them, by library
    without: tuple[str, ...] = ()  # libraries that cannot do this
    rounds: int = 99  # at most


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

NARROW = "CREATE TABLE narrow (id bigint PRIMARY KEY, value integer NOT NULL)"

WIDE = """
CREATE TABLE wide (
    id bigint PRIMARY KEY, shop integer, shelf integer, stock integer, rating integer, views integer,
    customer bigint, supplier bigint, parent bigint, price numeric(12,2), tax numeric(12,2), weight numeric(10,3),
    code text, name text, city text, remark text, active boolean, visible boolean, paid boolean,
    made timestamptz, changed timestamptz, sent timestamptz, due date, score double precision, token uuid)
"""
WIDE_ROWS = """
INSERT INTO wide SELECT
    n, n %% 100, n %% 1000, n %% 7, n %% 5, n, n * 1000003::bigint, n %% 10000, nullif(n %% 50, 0),
    (n %% 100000) / 100.0, (n %% 19000) / 100.0, (n %% 30000) / 1000.0,
    'c' || lpad((n %% 100000)::text, 6, '0'), 'name of article ' || n, 'city ' || n %% 300,
    md5(n::text), n %% 2 = 0, n %% 3 = 0, n %% 5 = 0,
    '2026-01-01 00:00:00+00'::timestamptz + n * interval '1.001 s',
    '2026-02-01 00:00:00+00'::timestamptz + n * interval '1.001 s',
    CASE WHEN n %% 2 = 0 THEN '2026-03-01 00:00:00+00'::timestamptz END,
    '2026-01-01'::date + n %% 365, n / 7.0::float8, md5(n::text)::uuid
FROM generate_series(%s, %s) n
"""

DOCUMENTS = """
CREATE TABLE documents (
    id bigint PRIMARY KEY, body jsonb NOT NULL, scores integer[], tags text[], amounts numeric[])
"""
# Some 350 characters of JSON; arrays of ten, five and three elements.
DOCUMENT_ROWS = """
INSERT INTO documents SELECT
    n, jsonb_build_object(
        'id', n, 'name', 'document ' || n, 'active', n %% 2 = 0, 'price', (n %% 100000) / 100.0,
        'address', jsonb_build_object('street', 'street ' || n %% 1000, 'city', 'city ' || n %% 300, 'zip', n %% 99999),
        'lines', jsonb_build_array(
            jsonb_build_object('article', n, 'quantity', n %% 10, 'note', md5(n::text)),
            jsonb_build_object('article', n + 1, 'quantity', n %% 12, 'note', null),
            jsonb_build_object('article', n + 2, 'quantity', n %% 15, 'note', 'as before')),
        'labels', jsonb_build_array('red', 'green', n %% 100)),
    ARRAY[n, n %% 2, n %% 3, n %% 5, n %% 7, n %% 11, n %% 13, n %% 17, n %% 19, n %% 23],
    ARRAY['a' || n %% 10, 'tag', 'with space', 'x' || n %% 100, 'end'],
    ARRAY[(n %% 1000) / 100.0, n, 0.5]
FROM generate_series(%s, %s) n
"""

# A text of 12 kB that is compressed inside the row, and 16 kB out of line.
TOASTED = """
CREATE TABLE toasted (id bigint PRIMARY KEY, state integer, page text, picture bytea);
ALTER TABLE toasted ALTER picture SET STORAGE EXTERNAL
"""
TOASTED_ROWS = """
INSERT INTO toasted SELECT n, 0, repeat('a line of a page that says ' || md5(n::text) || E'\\n', 200),
    decode(repeat(md5(n::text), 1024), 'hex')
FROM generate_series(%s, %s) n
"""


def ranges(size, step=ROWS_PER_TRANSACTION):
    for first in range(1, size + 1, step):
        yield first, min(first + step - 1, size)


def fill(rows):
    def run(sql, size):
        for first, last in ranges(size):
            sql.execute(rows, (first, last))
    return run


def create(table):
    def prepare(sql, size):
        sql.execute(table)
    return prepare


def run_narrow(sql, size):
    half = max(size // 2, 1)
    for first, last in ranges(half):
        sql.execute("INSERT INTO narrow SELECT n, n %% 1000 FROM generate_series(%s, %s) n", (first, last))
    for first, last in ranges(half):
        sql.execute("UPDATE narrow SET value = value + 1 WHERE id BETWEEN %s AND %s", (first, last))


def prepare_redacted(sql, size):
    sql.execute(MIXED)
    sql.execute("SELECT cdc.redact('mixed', 'code', 'hash'), cdc.redact('mixed', 'note', 'mask')")


def prepare_update(sql, size):
    sql.execute(MIXED)
    sql.execute("ALTER TABLE mixed REPLICA IDENTITY FULL")
    fill(MIXED_ROWS)(sql, size)


def update(assignments):
    def run(sql, size):
        for first, last in ranges(size):
            sql.execute(f"UPDATE mixed SET {assignments} WHERE id BETWEEN %s AND %s", (first, last))
    return run


def prepare_delete(sql, size):
    sql.execute(MIXED)
    fill(MIXED_ROWS)(sql, size)


def run_delete(sql, size):
    for first, last in ranges(size):
        sql.execute("DELETE FROM mixed WHERE id BETWEEN %s AND %s", (first, last))


def run_toasted(sql, size):
    half = max(size // 2, 1)
    for first, last in ranges(half, 500):
        sql.execute(TOASTED_ROWS, (first, last))
    for first, last in ranges(half, 500):
        sql.execute("UPDATE toasted SET state = state + 1 WHERE id BETWEEN %s AND %s", (first, last))


def run_large(sql, size):
    sql.execute(MIXED_ROWS, (1, size))


def run_stream(sql, size):
    """Two transactions at the same time, their WAL interleaved."""
    half = max(size // 2, 1)
    sessions = [psycopg2.connect(dbname=sql.connection.info.dbname) for _ in range(2)]
    cursors = [session.cursor() for session in sessions]
    for first, last in ranges(half):
        for i, cursor in enumerate(cursors):
            cursor.execute(MIXED_ROWS, (i * half + first, i * half + last))
    for session in sessions:
        session.commit()
        session.close()


def prepare_tables(sql, size):
    for i in range(TABLES):
        sql.execute(f"CREATE TABLE t{i} (id bigint PRIMARY KEY, quantity integer, name text, made timestamptz)")


def run_tables(sql, size):
    """Transactions that insert one row into each of ten tables."""
    for first, last in ranges(max(size // 10, 1), 1000):
        sql.execute(f"""DO $$
            BEGIN
                FOR n IN {first} .. {last} LOOP
                    FOR t IN n * 10 .. n * 10 + 9 LOOP
                        EXECUTE format('INSERT INTO t%s VALUES ($1, $1 %% 7, ''name '' || $1, ''2026-01-01'')',
                                       t % {TABLES}) USING n;
                    END LOOP;
                    COMMIT;
                END LOOP;
            END $$""")


def prepare_filter(sql, size):
    sql.execute(MIXED)
    sql.execute(f"DROP PUBLICATION {PUBLICATION}")
    sql.execute(f"CREATE PUBLICATION {PUBLICATION} FOR TABLE mixed WHERE (quantity < 500)")


def pgbench(sql, *arguments):
    subprocess.run(["pgbench", *arguments, sql.connection.info.dbname], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# Those that can; test_decoding writes no rows when it streams.
STREAMING = {library: {"streaming": "on"} for library in ("cdc_bench_noop", "cdc", "pgoutput")}

WORKLOADS = [
    Workload("insert", "10 mixed columns", 1_000_000, "inserts", create(MIXED), fill(MIXED_ROWS)),
    Workload("narrow", "2 columns, half inserts, half updates", 1_000_000, "changes", create(NARROW), run_narrow),
    Workload("wide", "25 columns", 300_000, "inserts", create(WIDE), fill(WIDE_ROWS)),
    Workload("pgbench", "its standard script, TPC-B: 3 updates and an insert", 100_000, "transactions",
             lambda sql, size: pgbench(sql, "-i", "-q", "-s", "10"),
             lambda sql, size: pgbench(sql, "-n", "-c", "2", "-j", "2", "-t", str(max(size // 2, 1))), events=4),
    Workload("update", "REPLICA IDENTITY FULL, 2 of 10 columns: integer and numeric", 300_000, "updates",
             prepare_update, update("quantity = quantity + 1, price = price + 1")),
    # what changed is most of what is sent
    Workload("update-text", "REPLICA IDENTITY FULL, 2 of 10 columns: integer and text of 40 and 32 characters",
             300_000, "updates", prepare_update, update("quantity = quantity + 1, note = md5(quantity::text)")),
    Workload("delete", "by primary key, 10 columns", 500_000, "deletes", prepare_delete, run_delete),
    Workload("json", "jsonb and arrays", 200_000, "inserts", create(DOCUMENTS), fill(DOCUMENT_ROWS)),
    Workload("toast", "12 kB compressed and 16 kB out of line; half inserts, half updates beside them",
             20_000, "changes", create(TOASTED), run_toasted),
    Workload("large", "one transaction, 10 mixed columns", 5_000_000, "inserts", create(MIXED), run_large, rounds=3),
    Workload("stream", "two transactions at once, with streaming where rows can be streamed", 1_000_000, "inserts",
             create(MIXED), run_stream, options=STREAMING),
    Workload("tables", f"{TABLES} tables in turn, ten a transaction", 500_000, "inserts", prepare_tables, run_tables),
    Workload("filter", "a publication with a row filter that half of the rows pass", 1_000_000, "inserts",
             prepare_filter, fill(MIXED_ROWS), options={"cdc": {"publication_names": PUBLICATION}},
             without=("test_decoding", "wal2json", "decoderbufs")),
    Workload("redacted", "as insert; cdc hashes one column and masks one", 1_000_000, "inserts",
             prepare_redacted, fill(MIXED_ROWS)),
]


def choose_workloads(names: str) -> list[Workload]:
    known = {workload.name: workload for workload in WORKLOADS}
    for name in names.split(","):
        if name not in known:
            raise SystemExit(f"no workload is named {name}; there are {', '.join(known)}")
    return [known[name] for name in names.split(",")]
