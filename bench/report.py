"""What the results of bench/run say: ratios, tables, and the limits they miss."""

from statistics import median

from targets import LIMITS

MIB = 1024 * 1024
FLOOR = "no-op"


def medians(result):
    """By plugin and metric."""
    return {name: {metric: median(run[metric] for run in runs) for metric in runs[0]}
            for name, runs in result["plugins"].items()}


def best_peer(result, middle, metric, configurations):
    values = [middle[name][metric] for name in middle if configurations[name]["peer"]]
    return min(values) if values else None


def ratio(value, base):
    return f"{value / base:.2f}" if base else "-"


def spread(values, digits=2):
    return " ".join(f"{v:6.{digits}f}" for v in (min(values), median(values), max(values)))


HEAD = ("", "CPU s: min   med    max", "x no-op", "x peer", "wall s: min  med    max", "x no-op", "x peer",
        "MB out", "x peer", "events/CPU s", "own MiB", "HWM MiB")
WIDTHS = (23, 8, 7, 24, 8, 7, 9, 7, 13, 8, 8)


def show(result, configurations):
    """The table of a workload, for people."""
    print(f"\n{result['workload']}: {result['size']} {result['unit']}, {result['what']}; "
          f"{result['wal_bytes'] / 1e6:.0f} MB of WAL, load {result['load']:.2f}")
    widths = (max(len(name) for name in result["plugins"]) + 1, *WIDTHS)
    print("".join(f"{text:{'<' if i == 0 else '>'}{width}}" for i, (text, width) in enumerate(zip(HEAD, widths))))
    middle = medians(result)
    floor = middle.get(FLOOR)
    for name, runs in result["plugins"].items():
        m = middle[name]
        peer = {metric: best_peer(result, middle, metric, configurations) for metric in ("cpu", "wall", "bytes")}
        cells = (
            name,
            spread([r["cpu"] for r in runs]), ratio(m["cpu"], floor and floor["cpu"]), ratio(m["cpu"], peer["cpu"]),
            spread([r["wall"] for r in runs]), ratio(m["wall"], floor and floor["wall"]), ratio(m["wall"], peer["wall"]),
            f"{m['bytes'] / 1e6:.1f}", ratio(m["bytes"], peer["bytes"]),
            f"{result['events'] / m['cpu']:.0f}", f"{m['anonymous'] / MIB:.1f}", f"{m['resident'] / MIB:.1f}")
        print("".join(f"{text:{'<' if i == 0 else '>'}{width}}" for i, (text, width) in enumerate(zip(cells, widths))),
              flush=True)


def judge(results):
    """(limit, value) for each limit that the results have figures for."""
    by_name = {result["workload"]: medians(result) for result in results}
    for limit in LIMITS:
        middle = by_name.get(limit.workload, {})
        if "cdc" not in middle or limit.against not in middle:
            continue
        ours, theirs = middle["cdc"][limit.metric], middle[limit.against][limit.metric]
        yield limit, (ours - theirs) / MIB if limit.metric == "anonymous" else ours / theirs


def verdict(results):
    """Prints each limit that is missed; true if there is none."""
    judged = list(judge(results))
    missed = [(limit, value) for limit, value in judged if value > limit.most]
    print(f"\n{len(judged)} targets, {len(missed)} missed")
    for limit, value in missed:
        unit = " MiB more than" if limit.metric == "anonymous" else " of"
        print(f"missed: {limit.workload}, {limit.metric}: {value:.3f}{unit} {limit.against}, at most {limit.most:g}")
    return not missed


def markdown(data):
    """The same tables, for docs/performance.md."""
    configurations = data["configurations"]
    for result in data["results"]:
        middle = medians(result)
        floor = middle.get(FLOOR)
        print(f"\n**{result['workload']}**: {result['size']:,} {result['unit']}, {result['what']}; "
              f"{result['wal_bytes'] / 1e6:.0f} MB of WAL\n")
        print("| | CPU s (min–max) | × no-op | × best peer | wall s | MB out | × best peer | events per CPU s | own memory, MiB |")
        print("|---|---|---|---|---|---|---|---|---|")
        peer = {metric: best_peer(result, middle, metric, configurations) for metric in ("cpu", "bytes")}
        for name, runs in result["plugins"].items():
            m, cpu = middle[name], [r["cpu"] for r in runs]
            bold = "**" if name == "cdc" else ""
            print(f"| {bold}{name}{bold} | {m['cpu']:.2f} ({min(cpu):.2f}–{max(cpu):.2f}) | {ratio(m['cpu'], floor and floor['cpu'])} "
                  f"| {ratio(m['cpu'], peer['cpu'])} | {m['wall']:.2f} | {m['bytes'] / 1e6:.1f} | {ratio(m['bytes'], peer['bytes'])} "
                  f"| {result['events'] / m['cpu']:,.0f} | {m['anonymous'] / MIB:.1f} |")


def markdown_targets(results):
    print("\n| workload | measure | against | target | measured | |\n|---|---|---|---|---|---|")
    for limit, value in judge(results):
        name = {"cpu": "CPU, ratio", "bytes": "bytes, ratio", "anonymous": "own memory, MiB more"}[limit.metric]
        print(f"| {limit.workload} | {name} | {limit.against} | ≤ {limit.most:g} | {value:.3f} "
              f"| {'**missed**' if value > limit.most else 'met'} |")
