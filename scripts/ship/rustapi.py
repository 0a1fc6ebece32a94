"""Lists what a crate exports, out of the pages that rustdoc has made of it: a line for each item, field, variant, method and
implementation of a trait, sorted. A line that is gone, or is another one, can break who uses the crate; scripts/api compares.

  scripts/ship/rustapi.py TARGET/doc/CRATE

What is generated from the .proto is left out, its compatibility is that of the .proto; and what any type has by itself,
but for Send and Sync.
"""
import html
import pathlib
import re
import sys

SECTION = re.compile(r'<section id="[^"]*" class="(method|tymethod|associatedtype|associatedconstant|impl)( trait-impl)?">.*?'
                     r'<h[34] class="code-header">(.*?)</h[34]>', re.S)
DECLARATION = re.compile(r'<pre class="rust item-decl"><code>(.*?)</code></pre>', re.S)


def plain(text):
    text = re.sub(r"<summary.*?</summary>", "", text, flags=re.S)
    text = re.sub(r'(<div class="code-attribute">.*?)</div>', r"\1 ", text, flags=re.S)
    text = re.sub(r'<div class="where">', " ", text)
    return html.unescape(re.sub(r"<[^>]+>", "", text)).replace("\xa0", " ")


def line(text):
    return re.sub(r"\s+", " ", text).strip().rstrip(",;")


def signature(text):
    """How parameters are called does not matter."""
    text = re.sub(r"([(,]\s*)(?:mut )?[a-z_]\w*: ", r"\1", line(text))
    return re.sub(r",? \)", ")", text.replace("( ", "("))


def declared(kind, text):
    """The head of a declaration, and what it has in braces, each alone."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", "", plain(text))
    if kind in ("struct", "enum", "trait", "union") and "{" in text:
        head, body = text.split("{", 1)
        yield line(head)
        if kind != "trait":
            depth, part = 0, ""
            for char in body.rsplit("}", 1)[0]:
                depth += (char in "({[<") - (char in ")}]>")
                if char == "," and depth == 0:
                    yield f"{line(head)}: {line(part)}"
                    part = ""
                else:
                    part += char
            if line(part):
                yield f"{line(head)}: {line(part)}"
    elif kind in ("constant", "static"):
        yield line(text.split(" = ")[0])
    else:
        yield signature(text)


def page(path, name):
    text, kind = path.read_text(), path.name.split(".")[0]
    declaration = DECLARATION.search(text)
    if not declaration:
        return          # a page that leads to another one
    for found in declared(kind, declaration[1]):
        yield f"{name}: {found}"
    text = text.split('id="blanket-implementations"')[0].split('id="implementors"')[0].split('id="foreign-impls"')[0]
    for what, of_trait, header in SECTION.findall(text):
        header = plain(header)
        if what == "impl":
            if " for " in header and not re.search(r"\b(Freeze|RefUnwindSafe|UnwindSafe|UnsafeUnpin|Unpin) for ", header):
                yield f"{name}: {line(header)}"
        elif not of_trait:
            yield f"{name}: {signature(header)}"


def main():
    root, lines = pathlib.Path(sys.argv[1]), set()
    for path in sorted(root.rglob("*.*.html")):
        parts = path.relative_to(root).parts
        if parts[0] != "pb" and path.name.split(".")[0] != "sidebar-items":
            lines.update(page(path, "::".join([root.name, *parts[:-1], path.name.split(".")[1]])))
    print("\n".join(sorted(lines)))


if __name__ == "__main__":
    main()
