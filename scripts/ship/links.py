"""Links of documents, and of the pages made of them, lead somewhere.

  scripts/ship/links.py             Markdown of this tree: to a file, and to a heading of it
  scripts/ship/links.py SITE        HTML below a folder: to a file, and to an id of it

Links to other hosts are not followed.
"""
import html
import pathlib
import re
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/lint"))
from tree import files  # noqa: E402


def prose(text):
    """Without code."""
    text = re.sub(r"^( *)```.*?^\1```[^\n]*$", "", text, flags=re.S | re.M)
    return re.sub(r"(`+)(?!`).*?\1", lambda m: "" if "](" in m[0] else m[0], text)


def slug(heading):
    """As the forges and mdBook make it."""
    heading = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading)
    heading = re.sub(r"[^\w\- ]", "", heading.strip().lower())
    return heading.replace(" ", "-")


def anchors(text):
    seen, found = {}, set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in re.findall(r"^#{1,6} +(.*?)\s*#*$", re.sub(r"^( *)```.*?^\1```", "", text, flags=re.S | re.M), re.M):
        name = slug(heading)
        found.add(name if name not in seen else f"{name}-{seen[name]}")
        seen[name] = seen.get(name, 0) + 1
    return found


def links(text):
    return re.findall(r"!?\[(?:[^][]|\[[^]]*\])*\]\(([^)\s]+)\)", prose(text)) + re.findall(r"^\[[^]]+\]: (\S+)", prose(text), re.M)


def broken():
    """In the tree's Markdown, one in a line."""
    wrong = []
    for name in files(ROOT):
        if not name.endswith(".md"):
            continue
        text = (ROOT / name).read_text()
        for link in links(text):
            path, _, fragment = link.partition("#")
            if re.match(r"[a-z]+:", link):
                continue
            target = (ROOT / name).parent / path if path else ROOT / name
            if not target.exists():
                wrong.append(f"{name}: {link}")
            elif fragment and target.suffix == ".md" and fragment not in anchors(target.read_text()):
                wrong.append(f"{name}: {link}, no such heading")
    return "\n".join(wrong)


def broken_pages(site):
    wrong, texts = set(), {}

    def ids(path):
        if path not in texts:
            texts[path] = set(re.findall(r'\b(?:id|name)="([^"]+)"', path.read_text(errors="replace")))
        return texts[path]

    for page in site.rglob("*.html"):
        text = re.sub(r"<(script|style)\b.*?</\1>", "", page.read_text(), flags=re.S)
        for link in map(html.unescape, re.findall(r'\b(?:href|src)="([^"]+)"', text)):
            path, _, fragment = link.partition("#")
            path = urllib.parse.unquote(path.split("?")[0])
            if re.match(r"[a-z]+:|//", link) or page.name in ("404.html", "print.html", "toc.html"):
                continue
            target = (site / path.lstrip("/") if path.startswith("/") else page.parent / path) if path else page
            if not target.exists():
                wrong.add(f"{page.relative_to(site)}: {link}")
            elif fragment and target.suffix == ".html" and urllib.parse.unquote(fragment) not in ids(target):
                wrong.add(f"{page.relative_to(site)}: {link}, no such id")
    return "\n".join(sorted(wrong))


def main():
    wrong = broken_pages(pathlib.Path(sys.argv[1])) if len(sys.argv) > 1 else broken()
    return wrong or 0


if __name__ == "__main__":
    sys.exit(main())
