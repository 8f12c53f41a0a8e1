"""Draws the figures as one SVG that reads on light and on dark pages: chart.py RESULTS.jsonl CHART.svg"""

import json
import sys
from pathlib import Path
from statistics import median

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
from table import groups, is_cut_short, number, values

# On no background of its own. Each has at least 4.3 : 1 on white and on the dark of code hosts.
INK = "#747b84"
COLORS = {"ours": {"tuned": "#d9480f", "defaults": "#e59866"}, "others": {"tuned": "#4c7ea8", "defaults": "#8a8f98"}}
LINE = "#9a6fb0"

# Name in the records, title, whether its axis is logarithmic, and whether the bare SQL is its limit.
PANELS = [
    ("drain", "drain, jobs/s", False, True),
    ("held_drain", "drain beside an open transaction, jobs/s", False, True),
    ("single", "enqueue one at a time, jobs/s", False, False),
    ("bulk", "enqueue 5,000 at a time, jobs/s", False, False),
    ("wait_p50", "enqueue to start, median, ms", True, False),
    ("wait_p99", "enqueue to start, 99th percentile, ms", True, False),
    ("memory", "worker's peak memory, MiB", False, False),
    ("cpu", "worker's CPU per 100,000 jobs, s", True, False),
]
LIMIT = "sql"


def medians(records, name):
    """By title: the peer's name, and with each of its settings its median and what to write at it."""
    found, plan = {}, records[0]["plan"]
    for (title, settings), rounds in groups(records).items():
        taken = values(rounds, name)
        if taken:
            label = number(median(taken)) + (" *" if is_cut_short(rounds, name, plan) else "")
            found.setdefault(title, (rounds[0]["peer"], {}))[1][settings] = (median(taken), label)
    return found


def draw(axes, records, name, title, logarithmic, limited):
    found = medians(records, name)
    limit = next((by for peer, by in found.values() if peer == LIMIT), None)
    bars = [(title, *entry) for title, entry in reversed(found.items()) if entry[0] != LIMIT]
    height = 0.38
    for row, (_, peer, by) in enumerate(bars):
        colors = COLORS["ours" if peer == "ours" else "others"]
        for settings, (value, label) in by.items():
            at = row + (height / 2 if settings == "tuned" else -height / 2)
            axes.barh(at, value, height, color=colors[settings])
            axes.annotate(label, (value, at), (3, 0), textcoords="offset points", va="center", color=INK, fontsize=7)
    if limited and limit:
        value, label = limit["defaults"]
        axes.axvline(value, color=LINE, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"bare SQL {label}",
            (value, 1),
            (-3, 3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=LINE,
            fontsize=7,
            ha="right",
        )
    axes.set_yticks(range(len(bars)), [title for title, _, _ in bars], color=INK, fontsize=8)
    axes.set_title(title, color=INK, fontsize=10, loc="left", pad=14 if limited else 6)
    if logarithmic:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}" if value >= 1 or value == 0 else f"{value:g}")
    axes.margins(x=0.16)
    axes.tick_params(colors=INK, labelsize=7)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.grid(axis="x", color=INK, alpha=0.25, linewidth=0.6)
    axes.set_axisbelow(True)


def main(source, target):
    records = [json.loads(line) for line in Path(source).read_text().splitlines()]
    head = records[0]
    # Text stays text: it can be searched and read aloud.
    plt.rcParams.update({"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "peers"})
    figure, panels = plt.subplots(len(PANELS) // 2, 2, figsize=(11, 3.1 * len(PANELS) // 2), layout="constrained")
    for axes, panel in zip(panels.flat, PANELS):
        draw(axes, records, *panel)
    shown = [
        ("ours", "tuned", "windlass, tuned"),
        ("ours", "defaults", "windlass, defaults"),
        ("others", "tuned", "peer, tuned"),
        ("others", "defaults", "peer, defaults"),
    ]
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLORS[who][settings]) for who, settings, _ in shown]
    figure.legend(
        handles,
        [name for *_, name in shown],
        loc="outside upper center",
        ncols=4,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
    )
    machine, plan = head["machine"], head["plan"]
    server = machine["postgres"]["server_version"]
    note = (
        f"{machine['cores']} cores, PostgreSQL {server}, {plan['jobs']:,} jobs per drain, "
        f"{machine['taken']}, load {machine['load']:.1f}\n* not done in the time it had"
    )
    figure.supxlabel(note, color=INK, fontsize=8)
    figure.savefig(target, transparent=True, metadata={"Title": "windlass beside other job queues", "Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
