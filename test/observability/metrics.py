"""The list of metrics, observability/metrics.json, and what is made from it.

  metrics.py --write     the table in docs/operations.md
  metrics.py             checks that table, and what alerts and the exporter's queries name. Prints TAP.
"""
import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "observability"
MANUAL = ROOT / "docs/operations.md"
BEGIN, END = "<!-- metrics.json -->\n", "<!-- end of metrics.json -->\n"
WHERE = {"go": "Go", "rust": "Rust", "relay": "relay", "server": "server"}


def metrics():
    return {m["name"]: m for m in json.loads((FOLDER / "metrics.json").read_text())["metrics"]}


def alerts():
    groups = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def series(metric):
    """The names that it has in an exposition."""
    name = metric["name"]
    return {name + end for end in ("_bucket", "_sum", "_count")} if metric["type"] == "histogram" else {name}


def label(name, values):
    return "`%s`: %s" % (name, ", ".join("`%s`" % v for v in values) if isinstance(values, list) else values)


def table():
    lines = ["| metric | type | what it is | from |\n", "|---|---|---|---|\n"]
    for m in metrics().values():
        labels = "; ".join(label(*item) for item in m["labels"].items())
        if "buckets" in m:
            labels = "buckets: " + ", ".join("%g" % bound for bound in m["buckets"])
        lines.append("| `%s` | %s | %s | %s |\n" % (
            m["name"], m["type"], m["help"] + (" " + labels[0].upper() + labels[1:] if labels else ""),
            ", ".join(WHERE[w] for w in m["from"])))
    return "".join(lines)


def with_table(text):
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.split(END)[1]


def named(expression):
    return set(re.findall(r"\bcdc_\w+", expression))


def unknown():
    """Metrics that an alert names, and that are none."""
    known = set().union(*(series(m) for m in metrics().values()))
    return sorted("%s: %s" % (name, metric) for name, rule in alerts().items() for metric in named(rule["expr"]) - known)


def exporter():
    """{name: help} of the exporter's queries"""
    queries = yaml.safe_load((FOLDER / "postgres-exporter.yaml").read_text())
    return {"%s_%s" % (query, column): (detail["usage"].lower(), detail["description"])
            for query, body in queries.items() for entry in body["metrics"]
            for column, detail in entry.items() if detail["usage"] != "LABEL"}


def exporter_differs():
    listed = {m["name"]: (m["type"], m["help"]) for m in metrics().values() if "server" in m["from"]}
    given = exporter()
    return sorted("%s: %s in the list, %s in the queries" % (name, listed.get(name), given.get(name))
                  for name in listed.keys() | given.keys() if listed.get(name) != given.get(name))


def untested():
    """Alerts without a case that fires, or without a section of the manual."""
    cases = yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]
    fire = {case["alertname"] for test in cases for case in test["alert_rule_test"] if case["exp_alerts"]}
    silent = {test["name"] for test in cases if re.search(r'(slot|database)="good"', str(test["input_series"]))}
    headings = set(re.findall(r"^### (\w+)$", MANUAL.read_text(), re.M))
    missing = []
    for name, rule in alerts().items():
        link = "docs/operations.md#" + name.lower()
        missing += [what for what, there in (("%s never fires" % name, name in fire), ("%s has no case of silence" % name, name in silent),
                                             ("%s has no section" % name, name in headings),
                                             ("%s does not link it" % name, rule["annotations"]["runbook"] == link)) if not there]
    return missing + sorted("section %s is of no alert" % h for h in headings - alerts().keys() if h.startswith("Cdc"))


def check():
    tests = (("docs/operations.md has the table of metrics", [] if with_table(MANUAL.read_text()) == MANUAL.read_text() else
              ["run test/observability/metrics.py --write"]),
             ("alerts name metrics that there are", unknown()),
             ("the exporter's queries are as listed", exporter_differs()),
             ("each alert has cases of both kinds, and a section", untested()))
    for number, (name, wrong) in enumerate(tests, 1):
        print("%s %d - %s" % ("not ok" if wrong else "ok", number, name))
        for line in wrong:
            print("#   " + line)
    print("1..%d" % len(tests))
    return any(wrong for _, wrong in tests)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        MANUAL.write_text(with_table(MANUAL.read_text()))
    else:
        sys.exit(check())
