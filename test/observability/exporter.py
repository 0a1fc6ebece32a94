"""Runs postgres_exporter with observability/postgres-exporter.yaml against a server, as a role that is
a member of pg_monitor, and compares what it shows with the list of metrics and with what was done.

  exporter.py BINDIR FOLDER

Prints TAP."""
import os
import pathlib
import re
import socket
import subprocess
import sys
import time
import urllib.request

import psycopg2

from metrics import FOLDER, metrics

SETTINGS = """listen_addresses = ''
unix_socket_directories = '%s'
wal_level = logical
fsync = off
shared_preload_libraries = cdc
max_slot_wal_keep_size = '10GB'
cdc.warn_of_old_minor = off
"""


class Server:
    def __init__(self, bindir, folder, more="", segment=16):
        """more: settings; segment: the size of one of WAL, in MB"""
        self.bindir, self.folder = pathlib.Path(bindir), pathlib.Path(folder)
        self.data = self.folder / "data"
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "--no-sync",
                 "--wal-segsize=%d" % segment)
        settings = SETTINGS % self.folder + more
        if re.search(r"^output_plugin_libraries", self.run("postgres", "--describe-config"), re.M):
            settings += "output_plugin_libraries = 'cdc'\n"
        with open(self.data / "postgresql.conf", "a") as f:
            f.write(settings)
        self.run("pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "start", stdout=subprocess.DEVNULL)

    def run(self, program, *args, stdout=subprocess.PIPE):
        return subprocess.run([self.bindir / program, *args], check=True, stdout=stdout, stderr=subprocess.PIPE, text=True).stdout

    def connect(self, **more):
        connection = psycopg2.connect(host=str(self.folder), user="postgres", **more)
        connection.autocommit = True
        return connection

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "stop")


def address():
    """A free one, that nobody else reaches."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return "127.0.0.1:%d" % s.getsockname()[1]


class Exporter:
    def __init__(self, server):
        self.address = address()
        self.log = open(server.folder / "exporter.log", "w")
        self.process = subprocess.Popen(
            ["prometheus-postgres-exporter", "--extend.query-path=%s" % (FOLDER / "postgres-exporter.yaml"),
             "--web.listen-address=" + self.address, "--disable-default-metrics", "--disable-settings-metrics"],
            stderr=self.log, stdout=self.log,
            env={**os.environ, "DATA_SOURCE_NAME": "host=%s user=watcher dbname=shop sslmode=disable" % server.folder})

    def read(self):
        """({name: (type, help)}, {(name, label, ...): value}); retries while it starts"""
        for _ in range(200):
            try:
                with urllib.request.urlopen("http://%s/metrics" % self.address, timeout=30) as answer:
                    return parse(answer.read().decode())
            except OSError:
                time.sleep(0.1)
        raise RuntimeError("the exporter does not answer: " + pathlib.Path(self.log.name).read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()


def parse(text):
    about, types, values = {}, {}, {}
    for line in text.splitlines():
        if line.startswith("# HELP cdc_"):
            name, about[name] = line.split(" ", 3)[2:]
        elif line.startswith("# TYPE cdc_"):
            _, _, name, types[name] = line.split(" ")
        elif line.startswith(("cdc_", "pg_exporter_")):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            values[name, frozenset(re.findall(r'(\w+)="([^"]*)"', labels or ""))] = float(value)
    return {name: (types[name], about[name]) for name in types}, values


def prepare(server):
    with server.connect(dbname="postgres") as c:
        pass
    cursor = c.cursor()
    cursor.execute("CREATE DATABASE shop")
    cursor.execute("CREATE ROLE watcher LOGIN IN ROLE pg_monitor")
    shop = server.connect(dbname="shop")
    cursor = shop.cursor()
    for statement in ("CREATE EXTENSION cdc", "CREATE TABLE t (id int PRIMARY KEY)",
                      "SELECT cdc.create_slot('read')", "SELECT cdc.create_slot('unread', options => '{tables,public.nothing}')",
                      "INSERT INTO t SELECT generate_series(1, 7)",
                      "SELECT count(*) FROM pg_logical_slot_get_binary_changes('read', NULL, NULL)"):
        cursor.execute(statement)
    return cursor


def wrong_names(about):
    listed = {m["name"]: (m["type"], m["help"]) for m in metrics().values() if "server" in m["from"]}
    return sorted("%s: %s shown, %s listed" % (n, about.get(n), listed.get(n))
                  for n in listed.keys() | about.keys() if listed.get(n) != about.get(n))


def wrong_labels(values):
    listed = {m["name"]: set(m["labels"]) | ({"slot"} if not m["name"].startswith("cdc_extension") else set())
              for m in metrics().values()}
    return sorted({"%s: %s" % (name, sorted(given)) for name, labels in values if name in listed
                   for given in [{key for key, _ in labels} - {"server"}] if given != listed[name]})


def wrong_values(values):
    """What was done: seven rows were read from the one slot, and nothing from the other."""
    of = {(name, dict(labels).get("slot"), dict(labels).get("status")): value for (name, labels), value in values.items()}
    expected = (("cdc_stats_events_total", "read", 7), ("cdc_slot_missing_tables", "read", 0),
                ("cdc_slot_missing_tables", "unread", 1), ("cdc_slot_active", "unread", 0), ("cdc_slot_lost", "unread", 0))
    wrong = ["%s of %s is %s, not %s" % (name, slot, of.get((name, slot, None)), value)
             for name, slot, value in expected if of.get((name, slot, None)) != value]
    if not of["cdc_slot_lag_bytes", "unread", None] > of["cdc_slot_lag_bytes", "read", None]:
        wrong.append("the slot that was read lags behind the other one")
    if not of["cdc_slot_safe_wal_bytes", "unread", None] > 9e9:
        wrong.append("safe_wal_bytes is " + str(of["cdc_slot_safe_wal_bytes", "unread", None]))
    if of.get(("cdc_slot_status_info", "unread", "reserved")) != 1:
        wrong.append("the status is not reserved")
    if of["pg_exporter_last_scrape_error", None, None] != 0:
        wrong.append("the exporter says that there was an error")
    return wrong


def main():
    server = Server(*sys.argv[1:])
    try:
        prepare(server)
        exporter = Exporter(server)
        try:
            about, values = exporter.read()
        finally:
            exporter.stop()
    finally:
        server.stop()
    tests = (("the exporter shows the metrics of the list", wrong_names(about)), ("with the labels of the list", wrong_labels(values)),
             ("with what was done, to a member of pg_monitor", wrong_values(values)))
    for number, (name, wrong) in enumerate(tests, 1):
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, name))
        for line in wrong:
            print("#   " + line)
    return any(wrong for _, wrong in tests)


if __name__ == "__main__":
    sys.exit(main())
