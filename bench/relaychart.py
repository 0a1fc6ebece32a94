"""The chart of the relay in docs/performance.md. Started by bench/chart."""

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "cdc"  # the same file for the same results
matplotlib.rcParams["svg.fonttype"] = "none"
import matplotlib.pyplot as plt  # noqa: E402

MIB = 1024 * 1024
COLOURS = {"Debezium": "#D55E00", "cdc-relay": "#0072B2"}


def bars(axes, rows, title, value, form):
    widths = [value(r) for r in rows]
    axes.barh(range(len(rows)), widths, 0.7, color=[COLOURS[r["who"]] for r in rows], linewidth=0)
    for i, width in enumerate(widths):
        axes.text(width, i, " " + form.format(width), va="center", fontsize=8)
    axes.set_yticks(range(len(rows)), [f"{r['who']}, {r['bus']}" for r in rows])
    axes.set_xlim(0, max(widths) * 1.2)
    axes.set_title(title, fontsize=10, loc="left")
    axes.set_xticks([])
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def draw(data, target):
    rows = {part: [r for r in data["results"] if r["part"] == part and r["transport"] != "fetch"] for part in ("carry", "latency")}
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.4), sharey=True)
    bars(axes[0], rows["carry"], "events per CPU second", lambda r: r["events"] / r["cpu"], "{:,.0f}")
    bars(axes[1], rows["carry"], "peak memory, MiB", lambda r: r["memory"] / MIB, "{:.0f}")
    bars(axes[2], rows["latency"], f"p99 from COMMIT at {data['rate']:,}/s, ms", lambda r: r["p99"], "{:.1f}")
    axes[0].invert_yaxis()
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
