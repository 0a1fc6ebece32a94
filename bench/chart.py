"""The chart of docs/performance.md. Started by bench/chart."""

import json
import sys

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "cdc"  # the same file for the same results
matplotlib.rcParams["svg.fonttype"] = "none"
import matplotlib.pyplot as plt  # noqa: E402

import relaychart  # noqa: E402
from report import FLOOR, medians  # noqa: E402

BYTES_BASE = "pgoutput-binary"

# Colours that people who see no red or no green can tell apart (Okabe and Ito).
COLOURS = {"cdc": "#0072B2", "pgoutput-binary": "#E69F00", "pgoutput-text": "#F0E442", "test_decoding": "#999999",
           "wal2json": "#D55E00", "decoderbufs": "#CC79A7"}


def bars(axes, results, title, value):
    """Groups of bars, one a workload; each bar value(medians, plugin)."""
    names = [name for name in COLOURS if any(name in result["plugins"] for result in results)]
    height = 0.8 / len(names)
    for k, name in enumerate(names):
        rows = [(i, value(medians(result), name)) for i, result in enumerate(results) if name in result["plugins"]]
        axes.barh([i + k * height for i, _ in rows], [width for _, width in rows], height,
                  color=COLOURS[name], label=name, linewidth=0)
    axes.set_yticks([i + 0.4 - height / 2 for i in range(len(results))], [result["workload"] for result in results])
    axes.set_title(title, fontsize=10, loc="left")
    axes.grid(axis="x", linewidth=0.4)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0)


def main():
    source, target = sys.argv[1:]
    with open(source) as f:
        data = json.load(f)
    if data["results"] and "part" in data["results"][0]:
        relaychart.draw(data, target)
        return
    results = [result for result in data["results"] if {FLOOR, BYTES_BASE} <= result["plugins"].keys()]
    if not results:
        sys.exit(f"no results with {FLOOR} and {BYTES_BASE}, which the others are drawn against")
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 0.62 * len(results) + 1.4), sharey=True)
    bars(left, results, "CPU of the walsender (no-op plugin = 1)", lambda m, name: m[name]["cpu"] / m[FLOOR]["cpu"])
    left.axvline(1, color="black", linewidth=0.8)
    bars(right, results, f"bytes sent ({BYTES_BASE} = 1)", lambda m, name: m[name]["bytes"] / m[BYTES_BASE]["bytes"])
    right.axvline(1, color="black", linewidth=0.8)
    left.invert_yaxis()
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False, fontsize=9)
    figure.suptitle(f"{data['server'].split(' (')[0]}, the same WAL for all; less is better", fontsize=11)
    inch = 1 / figure.get_figheight()  # for the title above and the legend below
    figure.tight_layout(rect=(0, 0.35 * inch, 1, 1))
    figure.savefig(target, metadata={"Date": None})


main()
