"""Draws the rooms of src/ and the arrows between them, from the source: docs/rooms.svg.

  test/docs/rooms.py            prints it
  test/docs/rooms.py --write    to docs/rooms.svg
  test/docs/rooms.py --check    fails where that is another one

Rooms are boxes on the diagonal, those that know of others first. From a room its includes go to the right, and down
to the rooms that are included; where they turn is how many files of the one include one of the other.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SVG = ROOT / "docs/rooms.svg"
CELL, HIGH, MARGIN = 58, 34, 12
STYLE = """text { font: 12px sans-serif; fill: #222; text-anchor: middle }
.room rect { fill: #e8eef7; stroke: #4a6a9a; stroke-width: 1.2; rx: 4 }
.room text { font-weight: bold }
.line { fill: none; stroke: #aab3c2; stroke-width: 1 }
.count circle { fill: #fff; stroke: #9aa5b5 }
.count text { font-size: 10px }"""


def rooms():
    """The highest first."""
    return re.search(r"^ROOMS = (.*)$", (ROOT / "Makefile").read_text(), re.M)[1].split()[::-1]


def arrows(names):
    """(room, included room) to the number of includes."""
    counts = {}
    for path in sorted((ROOT / "src").glob("*/*.[ch]")):
        room = path.parent.name
        if room not in names:
            continue
        for header, other in re.findall(r'^\s*#\s*include\s*"((\w+)/[^"]+)"', path.read_text(), re.M):
            # (PostgreSQL has an access/, too)
            if other in names and other != room and (ROOT / "src" / header).exists():
                counts[room, other] = counts.get((room, other), 0) + 1
    return counts


def draw():
    names = rooms()
    counts = arrows(names)
    width = 2 * MARGIN + 96 + CELL * (len(names) - 1)
    height = 2 * MARGIN + HIGH * len(names)
    across = {name: MARGIN + 48 + CELL * i for i, name in enumerate(names)}
    down = {name: MARGIN + HIGH // 2 + HIGH * i for i, name in enumerate(names)}
    lines, marks, boxes = [], [], []
    for name in names:
        to = [other for room, other in counts if room == name]
        by = [room for room, other in counts if other == name]
        if to:
            lines.append(f'<path class="line" d="M{across[name]} {down[name]}H{max(across[other] for other in to)}"/>')
        if by:
            top = min(down[room] for room in by)
            lines.append(f'<path class="line" marker-end="url(#arrow)" d="M{across[name]} {top}V{down[name] - 13}"/>')
    for (room, other), count in sorted(counts.items()):
        x, y = across[other], down[room]
        marks.append(f'<g class="count"><title>{room} includes {other}: {count}</title><circle cx="{x}" cy="{y}" r="9"/>'
                     f'<text x="{x}" y="{y}" dy=".35em">{count}</text></g>')
    for name in names:
        files = len(list((ROOT / "src" / name).glob("*.[ch]")))
        x, y = across[name], down[name]
        boxes.append(f'<g class="room"><title>src/{name}/: {files} files</title><rect x="{x - 38}" y="{y - 12}" width="76" '
                     f'height="24"/><text x="{x}" y="{y}" dy=".35em">{name}</text></g>')
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
            f"<title>The rooms of src/, and how many includes lead from one to another; made by test/docs/rooms.py</title>\n"
            f"<style>{STYLE}</style>\n"
            '<defs><marker id="arrow" viewBox="0 0 6 6" refX="5" refY="3" markerWidth="6" markerHeight="6" orient="auto">'
            '<path d="M0 0L6 3L0 6z" fill="#4a6a9a"/></marker></defs>\n'
            f'<rect width="{width}" height="{height}" fill="#fff"/>\n')
    return head + "\n".join(lines + marks + boxes) + "\n</svg>\n"


def outdated():
    """What is wrong with the picture, or nothing."""
    return None if SVG.exists() and SVG.read_text() == draw() else "docs/rooms.svg is another one: test/docs/rooms.py --write"


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        SVG.write_text(draw())
    elif sys.argv[1:] == ["--check"]:
        sys.exit(outdated())
    else:
        print(draw(), end="")
