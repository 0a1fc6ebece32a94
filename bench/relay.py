"""Measures the relay beside Debezium, on the same WAL. Started by bench/relay."""

import argparse
import concurrent.futures
import json
import os
import subprocess
import sys

import psycopg2

import relayreport
from buses import WORK, Embedded, Kafka, NATS
from carriers import Debezium, Relay, Server, peak_memory, process_cpu
from drain import drain
from measured import listed, load
from plugins import Plugin
from results import Results, describe

TABLES = """
CREATE EXTENSION cdc;
CREATE TABLE bench_carry (id bigserial PRIMARY KEY, name text NOT NULL, amount int NOT NULL, at timestamptz NOT NULL);
CREATE TABLE bench_latency (id bigserial PRIMARY KEY, mark text NOT NULL, payload text NOT NULL);
CREATE TABLE bench_end (id int);
CREATE PUBLICATION bench_all FOR TABLE bench_carry, bench_latency, bench_end;
"""
PER = 100  # events of a transaction
SIZES = ((100, 20000), (1000, 20000), (10000, 5000), (100000, 1000), (900000, 100))  # bytes, events
PARTITIONS = (1, 4, 32, 256)
TRANSPORTS = ("replication", "fetch")
WARM = 4  # measurements of latency that do not count


def arguments():
    parser = argparse.ArgumentParser(prog="bench/relay")
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=int, default=20, help="of each measurement of latency")
    parser.add_argument("--rate", type=int, default=1000, help="transactions per second")
    parser.add_argument("--readers", type=int, default=20)
    parser.add_argument("--parts", default="carry,latency,readers,partitions,payloads")
    parser.add_argument("--no-debezium", action="store_true")
    parser.add_argument("--check", action="store_true", help="fail if a target of bench/targets.py is missed")
    parser.add_argument("--json", help="file for the results (default bench-relay.json)")
    return parser.parse_args()


class Bench:
    """The server, the buses, and the WAL."""

    def __init__(self, sql, args):
        self.sql, self.args, self.number, self.last = sql, args, 0, None
        sql.execute(TABLES)
        sql.execute("SELECT pg_create_logical_replication_slot('bench_base', 'cdc')")
        self.kafka, self.nats, self.embedded = Kafka(), NATS(), Embedded()
        self.buses = (self.kafka, self.nats, self.embedded)

    def close(self):
        if self.last and self.last.process and self.last.process.poll() is None:
            self.last.process.kill()  # something has failed meanwhile
        for bus in self.buses:
            bus.stop()

    def end(self):
        """Something that is passed when all before is confirmed. Debezium confirms where its last event begins."""
        self.sql.execute("INSERT INTO bench_end VALUES (1) RETURNING pg_current_wal_insert_lsn()")
        end = self.sql.fetchone()[0]
        self.sql.execute("INSERT INTO bench_end VALUES (2)")
        return end

    def insert(self, events):
        self.sql.execute(f"""DO $$BEGIN FOR i IN 1..{max(events // PER, 1)} LOOP
            INSERT INTO bench_carry (name, amount, at) SELECT 'customer ' || g, i * g, now() FROM generate_series(1, {PER}) g;
            COMMIT; END LOOP; END$$""")
        return self.end()

    def relay(self, bus, transport="replication", partitions=4, slot="bench_base"):
        """One over a copy of the slot, onto topics of its own."""
        self.number += 1
        copy = f"bench_{self.number}"
        self.sql.execute("SELECT pg_copy_logical_replication_slot(%s, %s)", (slot, copy))
        self.last = Relay(bus, transport, copy, f"b{self.number}", partitions)
        return self.last

    def forget(self, slot):
        self.sql.execute("SELECT pg_drop_replication_slot(%s)", (slot,))

    def advance(self):
        """The slot that others are copies of goes to now."""
        self.sql.execute("SELECT pg_replication_slot_advance('bench_base', pg_current_wal_lsn())")

    def carried(self, relay, end, events):
        server, busy = Server(self.sql, relay.slot), load()
        relay.start()
        wall = relay.wait(server, end)
        cpu, memory = relay.stop()
        stored = relay.bus.bytes(relay.prefix)
        self.forget(relay.slot)
        return {"events": events, "cpu": cpu, "server": server.spent(), "wall": wall, "memory": memory,
                "bytes": stored / events, "load": busy}


def client(*arguments):
    out = subprocess.run([f"{WORK}/bin/bench", *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)


def latency(bench, bus, prefix, payload=100, rate=None, ddl=False):
    args = bench.args
    return client("--conn", f"dbname={os.environ['PGDATABASE']}", "--rate", rate or args.rate, "--seconds", args.seconds,
                  "--payload", payload, *(["--ddl"] if ddl else []), *bus.reader(prefix))


def relay_latency(bench, bus, transport="replication", **what):
    bench.advance()
    relay = bench.relay(bus, transport)
    relay.start()
    bench.sql.execute("INSERT INTO bench_latency (mark, payload) VALUES ('', '')")
    relay.wait(Server(bench.sql, relay.slot), bench.end())  # its topics are there
    busy = load()
    result = latency(bench, bus, relay.prefix, **what)
    result["cpu"], result["memory"] = relay.stop()
    bench.forget(relay.slot)
    return result | {"load": busy}


def carry_debezium(bench, results):
    """Debezium reads as the rows are written, warm; the same WAL waits in the slot for the relay."""
    args, sql = bench.args, bench.sql
    debezium = Debezium(bench.kafka, "bench_all")
    try:
        debezium.wait_active(sql)
        debezium.wait(Server(sql, debezium.slot), bench.insert(args.events // 2))
        bench.advance()
        server = Server(sql, debezium.slot, running=True)
        stored, cpu, busy = debezium.bus.bytes("dbz"), process_cpu(debezium.process.pid), load()
        end = bench.insert(args.events)
        wall = debezium.wait(server, end)
        results["carry"].append({"who": "Debezium", "bus": "Kafka", "transport": "pgoutput", "events": args.events,
                                 "cpu": process_cpu(debezium.process.pid) - cpu, "server": server.spent(), "wall": wall,
                                 "memory": peak_memory(debezium.process.pid), "load": busy,
                                 "bytes": (debezium.bus.bytes("dbz") - stored) / args.events})
        if "latency" in listed(args.parts):
            sql.execute("INSERT INTO bench_latency (mark, payload) VALUES ('', '')")
            debezium.wait(Server(sql, debezium.slot), bench.end())
            busy = load()
            results["latency"].append({"who": "Debezium", "bus": "Kafka", "transport": "pgoutput"} |
                                      latency(bench, bench.kafka, "dbz") | {"load": busy})
    finally:
        debezium.stop()
    bench.forget(debezium.slot)
    return end


def carry(bench, results):
    args = bench.args
    if os.environ["DEBEZIUM"] and not args.no_debezium:
        end = carry_debezium(bench, results)
    else:
        end = bench.insert(args.events)
    for bus in bench.buses:
        for transport in TRANSPORTS:
            figures = bench.carried(bench.relay(bus, transport), end, args.events)
            results["carry"].append({"who": "cdc-relay", "bus": bus.name, "transport": transport} | figures)
    return end


def latencies(bench, results):
    for _ in range(WARM):  # what a broker does in transactions is compiled by then
        relay_latency(bench, bench.kafka)
    for bus in bench.buses:
        for transport in TRANSPORTS:
            results["latency"].append({"who": "cdc-relay", "bus": bus.name, "transport": transport} | relay_latency(bench, bus, transport))


def readers(bench, results):
    """As many readers of one relay's topics, and as many slots."""
    n, events, sql = bench.args.readers, bench.args.events // 5, bench.sql
    bench.advance()
    end = bench.insert(events)
    relay = bench.relay(bench.kafka)
    server = Server(sql, relay.slot)
    relay.start()
    relay.wait(server, end)
    relay.stop()
    bench.forget(relay.slot)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client("--events", events, *bench.kafka.reader(relay.prefix)), range(n)))
    results["readers"].append({"how": f"{n} readers of one relay", "events": events, "server": server.spent(), "load": load()})
    plugin = Plugin("cdc", "cdc", "this extension", {})
    spent = sum(drain(sql, "bench_base", plugin, end).cpu for _ in range(n))
    results["readers"].append({"how": f"{n} slots", "events": events, "server": spent, "load": load()})


def partitions(bench, results):
    events = bench.args.events // 2
    bench.advance()
    end = bench.insert(events)
    for bus in (bench.kafka, bench.nats):
        for n in PARTITIONS:
            figures = bench.carried(bench.relay(bus, partitions=n), end, events)
            results["partitions"].append({"bus": bus.name, "partitions": n} | figures)


def payloads(bench, results):
    for size, events in SIZES:
        bench.advance()
        bench.sql.execute(f"""DO $$DECLARE t text := (SELECT string_agg(md5(random()::text), '') FROM generate_series(0, {size} / 32));
            BEGIN FOR i IN 1..{events} LOOP INSERT INTO bench_latency (mark, payload) VALUES (i, left(t, {size})); COMMIT;
            END LOOP; END$$""")
        end = bench.end()
        rate = max(10, min(bench.args.rate, 10_000_000 // size))
        rows = [{"bus": bus.name, "payload": size, "rate": rate} | bench.carried(bench.relay(bus), end, events)
                for bus in (bench.kafka, bench.nats)]
        for row, bus in zip(rows, (bench.kafka, bench.nats)):
            for name, ddl in ("steady", False), ("changing", True):
                row[name] = relay_latency(bench, bus, payload=size, rate=rate, ddl=ddl)
        results["payloads"] += rows


def main():
    args = arguments()
    connection = psycopg2.connect("")
    connection.autocommit = True
    sql = connection.cursor()
    about = describe(sql)
    print(f"{about['server']}, {about['processors']} processors ({about['processor']}), load {load():.1f} at the start; "
          f"{args.events} events, {PER} in a transaction\n", flush=True)
    sql.execute("SET synchronous_commit = off")
    bench = Bench(sql, args)
    results = {part: [] for part in ("carry", "latency", "readers", "partitions", "payloads")}
    parts = {"carry": carry, "latency": latencies, "readers": readers, "partitions": partitions, "payloads": payloads}
    file = Results(about | {"events": args.events, "seconds": args.seconds, "rate": args.rate})
    try:
        for part in listed(args.parts):
            parts[part](bench, results)
            for result in results[part]:
                file.add({"part": part} | result)
    finally:
        bench.close()
        relayreport.show(results)
    good = relayreport.verdict(results)
    sys.exit(0 if good or not args.check else 1)


main()
