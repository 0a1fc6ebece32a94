"""Puts together what mdBook makes the site of: see scripts/site.

  scripts/ship/site.py FOLDER    docs/book.toml, and in src/ the documents, where they stand in the tree
"""
import pathlib
import posixpath
import re
import shutil
import sys

import reference
import versions

ROOT = versions.ROOT
LINK = re.compile(r"(!?\[(?:[^][]|\[[^]]*\])*\]\()([^)\s]+)(\))")


def chapters():
    """Documents of the table of contents, by their names in the tree."""
    found = re.findall(r"\]\(([^)]+)\)", (ROOT / "docs/SUMMARY.md").read_text())
    return [posixpath.normpath(posixpath.join("docs", name)) for name in found]


def page(name):
    """What a document is called in the site: the first page of a folder is its README."""
    return re.sub(r"(^|/)README\.md$", r"\1index.md", name)


def led(name, text, inside):
    """Links to what is no page go to the project's home."""
    def follow(match):
        path, hash_, fragment = match[2].partition("#")
        if re.match(r"[a-z]+:", match[2]) or not path:
            return match[0]
        target = posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        if target in inside:
            start = posixpath.dirname(name) or "."
            return match[1] + posixpath.relpath(page(target), start) + hash_ + fragment + match[3]
        kind = "tree" if (ROOT / target).is_dir() else "blob"
        return f"{match[1]}{versions.home()}/{kind}/main/{target}{hash_}{fragment}{match[3]}"
    parts = re.split(r"(^ *```.*?^ *```[^\n]*$)", text, flags=re.S | re.M)
    return "".join(part if n % 2 else LINK.sub(follow, part) for n, part in enumerate(parts))


def summary(inside, generated):
    text = (ROOT / "docs/SUMMARY.md").read_text()
    pages = "\n".join(f"- [{title}](docs/reference/{name}.md)" for name, title in generated)
    text = re.sub(r"\]\(([^)]+)\)", lambda m: f"]({page(posixpath.normpath(posixpath.join('docs', m[1])))})", text)
    return text.replace("<!-- generated -->", pages)


def main():
    book = pathlib.Path(sys.argv[1])
    source = book / "src"
    inside = set(chapters())
    pictures = {str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.svg")}
    generated = []
    (source / "docs/reference").mkdir(parents=True)
    for name, title, make in reference.PAGES:
        text = make()
        if text is not None:
            (source / f"docs/reference/{name}.md").write_text(text + "\n")
            generated.append((name, title))
    for name in inside:
        to = source / page(name)
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_text(led(name, (ROOT / name).read_text(), inside | pictures))
    for name in pictures:
        shutil.copy(ROOT / name, source / name)
    (source / "SUMMARY.md").write_text(summary(inside, generated))
    text = (ROOT / "docs/book.toml").read_text()
    (book / "book.toml").write_text(text.replace("[output.html]\n", f'[output.html]\ngit-repository-url = "{versions.home()}"\n'))
    shutil.copy(ROOT / "docs/site.css", book / "site.css")


if __name__ == "__main__":
    main()
