"""What the results of bench/relay say, as tables in Markdown."""

from targets import RELAY

MIB = 1024 * 1024


def table(head, rows):
    print("\n| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def name(r):
    return r["who"] if r["who"] == "Debezium" else f"**{r['who']}**"


def rate(r, of="cpu"):
    return f"{r['events'] / r[of]:,.0f}" if r[of] else "-"


def carry(results):
    table(("", "bus", "read by", "events/CPU s", "CPU s", "server CPU s", "peak MiB", "bytes/event", "events/s", "load"),
          [(name(r), r["bus"], r["transport"], rate(r), f"{r['cpu']:.2f}", f"{r['server']:.2f}", f"{r['memory'] / MIB:.0f}",
            f"{r['bytes']:.0f}", rate(r, "wall"), f"{r['load']:.1f}") for r in results])


def latency(results):
    table(("", "bus", "read by", "p50 ms", "p99 ms", "longest ms", "reached", "lost", "load"),
          [(name(r), r["bus"], r["transport"], f"{r['p50']:.1f}", f"{r['p99']:.1f}", f"{r['longest']:.0f}", f"{r['rate']:.0f}/s",
            str(r["lost"]), f"{r['load']:.1f}") for r in results])


def readers(results):
    table(("", "events", "server CPU s", "load"),
          [(r["how"], f"{r['events']:,}", f"{r['server']:.2f}", f"{r['load']:.1f}") for r in results])


def partitions(results):
    table(("bus", "partitions", "events/CPU s", "events/s", "peak MiB", "bytes/event", "load"),
          [(r["bus"], str(r["partitions"]), rate(r), rate(r, "wall"), f"{r['memory'] / MIB:.0f}",
            f"{r['bytes']:.0f}", f"{r['load']:.1f}") for r in results])


def payloads(results):
    table(("bus", "payload", "events/CPU s", "MB/s", "peak MiB", "transactions/s", "p50 / p99 ms", "p50 / p99 ms, schema changes", "load"),
          [(r["bus"], f"{r['payload']:,} B", rate(r), f"{r['payload'] * r['events'] / r['wall'] / 1e6:.1f}",
            f"{r['memory'] / MIB:.0f}", f"{r['rate']}",
            *(f"{r[how]['p50']:.1f} / {r[how]['p99']:.1f}" + (f", {r[how]['lost']} LOST" if r[how]["lost"] else "")
              for how in ("steady", "changing")),
            f"{r['load']:.1f}") for r in results])


def show(results):
    for part, rows in ("carry", carry), ("latency", latency), ("readers", readers), ("partitions", partitions), ("payloads", payloads):
        if results[part]:
            rows(results[part])


def found(results, **what):
    return next((r for r in results if all(r[key] == value for key, value in what.items())), None)


def verdict(results):
    """Says how the relay stands to the targets; true if none is missed."""
    checks = []
    ours, theirs = found(results["carry"], who="cdc-relay", bus="Kafka", transport="replication"), found(results["carry"], who="Debezium")
    if ours and theirs:
        times = (ours["events"] / ours["cpu"]) / (theirs["events"] / theirs["cpu"])
        checks.append((f"events per CPU second over Debezium's, at least {RELAY['times']}", f"{times:.1f}", times >= RELAY["times"]))
        memory = ours["memory"] / theirs["memory"]
        checks.append((f"memory over Debezium's, at most {RELAY['memory']}", f"{memory:.3f}", memory <= RELAY["memory"]))
    if ours:
        checks.append((f"events per CPU second on Kafka, at least {RELAY['rate']}", rate(ours),
                       ours["events"] / ours["cpu"] >= RELAY["rate"]))
    for bus in "Kafka", "JetStream":
        if r := found(results["latency"], who="cdc-relay", bus=bus, transport="replication"):
            checks.append((f"p99 in ms on {bus}, below {RELAY['p99']}", f"{r['p99']:.1f}", r["p99"] < RELAY["p99"]))
    print()
    for what, value, good in checks:
        print(f"{'met' if good else 'missed':8}{value:>10}  {what}")
    return all(good for _, _, good in checks)
