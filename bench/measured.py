"""What the programs of this directory have in common."""

import os
import subprocess
import time
from statistics import median

import psycopg2


def listed(text):
    return text.split(",")


def choose(known, names, what):
    """Those of known that names has, separated by commas, in the order of known."""
    for name in listed(names):
        if name not in known:
            raise SystemExit(f"no {what} is named {name}; there are {', '.join(known)}")
    return [known[name] for name in known if name in listed(names)]


def present(chosen):
    """The plugins that are installed; says which are not."""
    directory = subprocess.run(["pg_config", "--pkglibdir"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    for plugin in chosen:
        if os.path.exists(f"{directory}/{plugin.library}.so"):
            yield plugin
        else:
            print(f"{plugin.name} is not installed and left out")


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
