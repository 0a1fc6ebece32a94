"""What was tested with what: docs/compatibility.json, and the table of it in docs/compatibility.md.

  scripts/ship/compatibility.py --record LOG...    takes up what scripts/check printed (scripts/matrix keeps it, too)
  scripts/ship/compatibility.py --check            whether the table is that of the results; without the option: writes it

A result is one of this tree's version; a kind of test that was run again replaces what it had. Kinds that cannot run
on a server (a build without a codec) are told from those that nobody ran.
"""
import datetime
import json
import pathlib
import re
import sys

import versions

ROOT = versions.ROOT
RESULTS, DOCUMENT = ROOT / "docs/compatibility.json", ROOT / "docs/compatibility.md"
BEGIN, END = "<!-- made by scripts/ship/compatibility.py -->", "<!-- until here -->"
# column: its kinds of tests
COLUMNS = {
    "extension": ("regress", "isolation", "pgtap", "tap", "golden", "replay"),
    "Go client": ("go",),
    "Rust client": ("rust",),
    "relay": ("relay",),
}


def load():
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else []


def parse(log):
    """(version of PostgreSQL, its kinds) of each run in a log."""
    server, kinds = None, {}
    for line in log.read_text(errors="replace").splitlines():
        if match := re.match(r"cdc: PostgreSQL (\S+), all files in ", line):
            if server and kinds:
                yield server, kinds
            server, kinds = match[1], {}
        elif match := re.match(r"(?:ok|FAILED) +(\S+) +[\d.]+ s +(\d+) passed(?:, (\d+) failed)?", line):
            kinds[match[1]] = [int(match[2]), int(match[3] or 0)]
    if server and kinds:
        yield server, kinds


def record(names):
    version, results = versions.version(), load()
    columns = {kind for kinds in COLUMNS.values() for kind in kinds}
    for log in map(pathlib.Path, names):
        day = datetime.date.fromtimestamp(log.stat().st_mtime).isoformat()
        for server, kinds in parse(log):
            entry = next((r for r in results if (r["version"], r["postgresql"]) == (version, server)), None)
            if entry is None:
                entry = {"version": version, "postgresql": server, "kinds": {}}
                results.append(entry)
            for kind, (passed, failed) in kinds.items():
                if kind in columns:
                    entry["kinds"][kind] = {"passed": passed, "failed": failed, "day": day}
    results.sort(key=lambda r: [list(map(int, re.findall(r"\d+", r[key]))) for key in ("version", "postgresql")])
    lines = []
    for r in results:
        kinds = ",\n  ".join(f'"{kind}": {json.dumps(result)}' for kind, result in sorted(r["kinds"].items()))
        lines.append(f'{{"version": "{r["version"]}", "postgresql": "{r["postgresql"]}", "kinds": {{\n  {kinds}}}}}')
    RESULTS.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def cell(entry, kinds):
    results = {kind: entry["kinds"][kind] for kind in kinds if kind in entry["kinds"]}
    if not results:
        return "not run"
    passed, failed = (sum(r[key] for r in results.values()) for key in ("passed", "failed"))
    lacking = [kind for kind in kinds if kind not in results]
    return (f"{passed} passed" + (f", **{failed} failed**" if failed else "") + (f"; without {', '.join(lacking)}" if lacking else "") +
            f" ({max(r['day'] for r in results.values())})")


def table():
    rows = [f"| version | PostgreSQL | {' | '.join(COLUMNS)} |", f"|---|---|{'---|' * len(COLUMNS)}"]
    for entry in load():
        cells = [cell(entry, kinds) for kinds in COLUMNS.values()]
        rows.append(f"| {entry['version']} | {entry['postgresql']} | {' | '.join(cells)} |")
    return "\n".join(rows)


def documented():
    before, rest = DOCUMENT.read_text().split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


def outdated():
    """What is wrong with the document, or nothing."""
    return None if DOCUMENT.read_text() == documented() else "docs/compatibility.md: scripts/ship/compatibility.py writes it"


def main():
    if sys.argv[1:2] == ["--record"]:
        record(sys.argv[2:])
    if sys.argv[1:] == ["--check"]:
        return outdated()
    DOCUMENT.write_text(documented())


if __name__ == "__main__":
    sys.exit(main())
