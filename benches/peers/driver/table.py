"""The figures as one Markdown table: medians, and ranges where there are several rounds."""

from statistics import median

# Name in the records, and the head of its column.
COLUMNS = [
    ("single", "one at a time /s"),
    ("bulk", "5,000 at a time /s"),
    ("drain", "drain /s"),
    ("wait_p50", "wait p50 ms"),
    ("wait_p99", "wait p99 ms"),
    ("memory", "memory MiB"),
    ("cpu", "CPU s per 100,000"),
    ("held_drain", "drain /s, held"),
    ("held_wait_p99", "wait p99 ms, held"),
]

# What tells how many jobs a figure is of, and how many there were.
OF = {
    "drain": "drained",
    "held_drain": "held_drained",
    "wait_p50": "wait_ran",
    "wait_p99": "wait_ran",
    "held_wait_p99": "held_wait_ran",
}


def number(value):
    """Three digits that mean something, thousands apart."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def groups(records):
    """The rounds of each peer with each of its settings, in the order they were taken."""
    found = {}
    for record in records:
        if "peer" in record:
            found.setdefault((record["title"], record["settings"]), []).append(record)
    return found


def values(rounds, name):
    return [record["figures"][name] for record in rounds if name in record.get("figures", {})]


def expected(name, plan):
    return plan["jobs"] if "drain" in name else plan["rate"] * plan["seconds"]


def is_cut_short(rounds, name, plan):
    """Whether a figure is of fewer jobs than there were, in any round."""
    return name in OF and min(values(rounds, OF[name])) < expected(name, plan)


def cell(rounds, name, plan):
    found = values(rounds, name)
    if not found:
        if any("failed" in record for record in rounds):
            return "failed"
        return "none started" if name in OF and values(rounds, OF[name]) else "-"
    text = number(median(found))
    if len(found) > 1:
        text += f" ({number(min(found))}-{number(max(found))})"
    if is_cut_short(rounds, name, plan):
        text += " *"
    return text


def render(records):
    head = records[0]
    machine, plan = head["machine"], head["plan"]
    loads = [record["load"] for record in records if "load" in record] or [machine["load"]]
    size = (
        f"{head['runs']} round(s); {plan['jobs']:,} jobs per drain, {plan['limit']} s at most; "
        f"waits at {plan['rate']}/s for {plan['seconds']} s"
    )
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, kernel {machine['kernel']}; {machine['taken']}",
        f"load {min(loads):.1f} to {max(loads):.1f}; fsync of a page {machine['sync_us']:.0f} us; "
        + ", ".join(f"{name}={value}" for name, value in machine["postgres"].items()),
        size,
        "",
        "| | settings | " + " | ".join(title for _, title in COLUMNS) + " |",
        "|---|---|" + "---|" * len(COLUMNS),
    ]
    for (title, settings), rounds in groups(records).items():
        cells = [cell(rounds, name, plan) for name, _ in COLUMNS]
        lines.append(f"| {title} | {settings} | " + " | ".join(cells) + " |")
    lines += ["", "\\* not done in the time it had: the rate is of what was done, the wait of what was started."]
    return "\n".join(lines) + "\n"
