"""What the programs of this directory have in common."""

import os
import time
from statistics import median

import psycopg2


def listed(text):
    return text.split(",")


def load():
    return os.getloadavg()[0]


def wait_until_free(sql, slot):
    """The walsender may still be on its way out."""
    while True:
        sql.execute("SELECT active FROM pg_replication_slots WHERE slot_name = %s", (slot,))
        if not sql.fetchone()[0]:
            return
        time.sleep(0.002)


def compare(ours, theirs, most):
    """"met", "missed", or "unclear": the median is above, but the rounds overlap
    so that it may be noise. Less is better; also returns the ratio of medians."""
    ratio = median(ours) / median(theirs)
    if ratio <= most:
        return "met", ratio
    return "missed" if min(ours) > most * max(theirs) else "unclear", ratio


def in_database(server, name, work):
    """Calls work with a cursor in a new database."""
    name = "bench_" + name.replace("-", "_")
    server.execute(f"CREATE DATABASE {name}")
    connection = psycopg2.connect(dbname=name)
    connection.autocommit = True
    try:
        return work(connection.cursor())
    finally:
        connection.close()
        server.execute(f"DROP DATABASE {name}")
