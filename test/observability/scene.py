"""A set-up like one of an operator's: a server with the extension, its exporter, a consumer in Go and one in
Rust, a relay with its bus, somebody who writes all the time, and a Prometheus that looks at all of them.

Everything listens on the loopback alone, and is stopped by its own process id."""
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import psycopg2
import yaml

from exporter import Exporter, Server, address
from metrics import FOLDER

GO, RUST, RELAY = "shop_go", "shop_rust", "shop_relay"
SCHEMA = """
CREATE EXTENSION cdc;
CREATE TABLE orders (id int PRIMARY KEY, customer text, note text, total numeric(12,2));
CREATE TABLE people (id int PRIMARY KEY, email text);
INSERT INTO people SELECT g, 'somebody@example.com' FROM generate_series(1, 10) g;
SELECT cdc.register('orders');
SELECT cdc.redact('people', 'email', 'hash');
"""
# Beside what each of the programs has by itself. wal_sender_timeout: consumers confirm twice in that time.
SETTINGS = """max_wal_senders = 10
max_replication_slots = 10
wal_sender_timeout = '4s'
checkpoint_timeout = '1h'
logging_collector = off
"""


class Program:
    """A process with a log."""

    def __init__(self, name, command, folder, environment=None):
        self.name, self.command, self.log = name, list(command), pathlib.Path(folder) / (name + ".log")
        self.environment, self.process = environment, None
        self.start()

    def start(self, *more):
        with open(self.log, "a") as log:
            self.process = subprocess.Popen([str(word) for word in [*self.command, *more]], stdout=log, stderr=log, cwd=self.log.parent,
                                            env={**os.environ, **(self.environment or {})})

    def stop(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def words(self):
        return "".join(self.log.read_text(errors="replace").splitlines(True)[-15:])


class Writer(threading.Thread):
    """Writes orders and people, some each second, and a heartbeat."""

    def __init__(self, connect):
        super().__init__(daemon=True)
        self.connect, self.ended = connect, threading.Event()
        self.start()

    def run(self):
        cursor, number = self.connect().cursor(), 0
        while not self.ended.wait(0.1):
            number += 1
            try:
                cursor.execute("INSERT INTO orders (id, customer, total) VALUES (%s, 'ada', %s)", (number, number))
                cursor.execute("UPDATE people SET email = %s WHERE id = %s", ("n%d@example.com" % number, number % 10 + 1))
                if number % 10 == 0:
                    cursor.execute("SELECT pg_logical_emit_message(true, 'cdc.heartbeat', '')")
            except psycopg2.Error:
                if self.ended.is_set():
                    return
                cursor = self.connect().cursor()

    def stop(self):
        self.ended.set()
        self.join()


def wait(what, seconds, condition, every=0.2):
    """The first value of the condition that is not false, or an error."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError("%s: not in %d s" % (what, seconds))
        time.sleep(every)


class Scene:
    """programs: the folder with consumer, cdc-relay, nats-server and, if it is to be there, rust-consumer.
    rules: the text of the alerts."""

    def __init__(self, bindir, folder, programs, rules, apart=False, settings="", segment=16):
        self.folder, self.programs, self.rules = pathlib.Path(folder), pathlib.Path(programs), rules
        self.apart, self.running, self.jobs = apart, [], {}
        self.server = Server(bindir, folder, SETTINGS + settings, segment)
        self.stops = [self.server.stop]
        try:
            self.begin()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        while self.stops:
            try:
                self.stops.pop()()
            except Exception as e:
                print("# stopping: %s" % e)

    def begin(self):
        self.sql("CREATE DATABASE shop", "CREATE ROLE watcher LOGIN IN ROLE pg_monitor", dbname="postgres")
        self.sql(SCHEMA)
        self.exporter = Exporter(self.server)
        self.stops.append(self.exporter.stop)
        self.jobs["server"] = self.exporter.address
        self.environment = {"PGHOST": str(self.folder), "PGUSER": "postgres", "PGDATABASE": "shop"}
        self.go = self.consumer("consumer", "go", GO)
        self.rust = self.consumer("rust-consumer", "rust", RUST) if (self.programs / "rust-consumer").exists() else None
        self.begin_relay()
        self.writer = Writer(self.connect)
        self.stops.append(self.writer.stop)
        self.begin_prometheus()

    # the parts

    def program(self, name, *command, environment=None):
        p = Program(name, command, self.folder, {**self.environment, **(environment or {})})
        self.running.append(p)
        self.stops.append(p.stop)
        return p

    def consumer(self, name, job, slot):
        self.jobs[job] = address()
        letters = self.folder / (job + "-letters")
        letters.mkdir()
        return self.program(name, self.programs / name, "-slot", slot, "-listen", self.jobs[job], "-letters", letters,
                            "-checkpoint", self.folder / (slot + ".checkpoint"), "-versions", "public.orders=1")

    def begin_relay(self):
        self.jobs["relay"], self.nats = address(), address()
        port = self.nats.split(":")[1]
        settings = {"POSTGRES_SLOT": RELAY, "POSTGRES_CREATE_SLOT": "true", "NATS_HOLD_BACK": "1s", "ADMIN_LISTEN": self.jobs["relay"]}
        if self.apart:
            self.broker = self.program("broker", self.programs / "nats-server", "-a", "127.0.0.1", "-p", port,
                                       "-js", "-sd", self.folder / "nats")
            settings.update(NATS_URL="nats://" + self.nats, NATS_CREATE="true")
        else:
            settings.update(NATS_EMBEDDED=str(self.folder / "nats"), NATS_LISTEN=self.nats)
        self.relay = self.program("cdc-relay", self.programs / "cdc-relay", "run",
                                  environment={"CDC_RELAY_" + name: value for name, value in settings.items()})

    def begin_prometheus(self):
        (self.folder / "alerts.yaml").write_text(self.rules)
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yaml"],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [at]}]} for job, at in self.jobs.items()]
            + [{"job_name": "more", "file_sd_configs": [{"files": ["more.json"], "refresh_interval": "1s"}]}]}))
        where = address()
        self.url = "http://" + where
        self.prometheus = self.program("prometheus", "prometheus", "--config.file", self.folder / "prometheus.yaml",
                                       "--storage.tsdb.path", self.folder / "prometheus", "--web.listen-address", where)

    # what is done with it

    def connect(self, dbname="shop"):
        return self.server.connect(dbname=dbname)

    def sql(self, *statements, dbname="shop"):
        """The rows of the last one."""
        connection = self.connect(dbname)
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def api(self, path, **parameters):
        url = self.url + "/api/v1/" + path + "?" + urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.load(answer)["data"]

    def scrape_also(self, *addresses):
        """More than what is there all the time."""
        (self.folder / "more.json.new").write_text(json.dumps([{"targets": list(addresses)}]))
        (self.folder / "more.json.new").rename(self.folder / "more.json")

    def query(self, expression):
        """[(labels, value)]"""
        return [(series["metric"], float(series["value"][1])) for series in self.api("query", query=expression)["result"]]

    def up(self):
        """All are there, and Prometheus sees it."""
        def all_up():
            ended = [p for p in self.running if p.process.poll() is not None]
            if ended:
                raise RuntimeError("%s has ended: %s" % (ended[0].name, ended[0].words()))
            try:
                up = {labels["job"] for labels, value in self.query("up") if value == 1}
                return up >= set(self.jobs) and len(self.query("cdc_slot_active == 1")) == len(self.slots())
            except (OSError, urllib.error.URLError):
                return False
        wait("everything is up", 60, all_up)

    def slots(self):
        return [GO, RELAY] + ([RUST] if self.rust else [])

    def firing(self):
        """{(alert, slot)}"""
        return {(a["labels"]["alertname"], a["labels"].get("slot", "")) for a in self.api("alerts")["alerts"] if a["state"] == "firing"}

    def told(self):
        """The last words of all, for whoever looks for a fault."""
        return "".join("%s:\n%s" % (p.name, p.words()) for p in self.running)


def dashboard():
    """{title of a panel: its queries, as Grafana would send them}"""
    panels = {}

    def walk(node):
        if isinstance(node, dict):
            if "targets" in node and "title" in node:
                panels[node["title"]] = [asked(t["expr"]) for t in node["targets"]]
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(json.loads((FOLDER / "dashboard.json").read_text()))
    return panels


def asked(expression):
    return re.sub(r"\$\{?slot\}?", ".*", expression.replace("$__rate_interval", "10s"))
