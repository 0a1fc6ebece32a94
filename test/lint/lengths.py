"""Functions over 80 lines, by language, and how long they are: median, p90 and the longest.

  test/lint/lengths.py [DIRECTORY]    the tree to look at; default: this one

Prints TAP. A function goes from the line with its name to the line of its last brace; in SQL it is what stands in
dollar quotes. Then a function that is too long is put into a small tree, in each language, and must be found.
"""
import ast
import pathlib
import re
import statistics
import sys
import tempfile

from tree import ROOT, files, say

LONGEST = 80
GENERATED = re.compile(r"\.pb\.go$|_pb2\.py$|^clients/rust/src/pb/")


def to_brace(lines, start, indent=""):
    """The index of the line that closes what begins on a line, where it is indented alike."""
    for number in range(start, len(lines)):
        if lines[number].rstrip() in (f"{indent}}}", f"{indent}}};", f"{indent}}})", f"{indent}}},"):
            return number
    return None


def braced(head):
    """Functions whose head matches, in a language that closes them under their beginning."""
    def find(text):
        lines = text.splitlines()
        for number, line in enumerate(lines):
            match = head.match(line)
            if not match:
                continue
            code = re.sub(r"\s*(//.*|# .*)$", "", line)
            if re.search(r"[{(].*[})]$", code) and code.count("{") == code.count("}") > 0 or code.endswith(";"):
                yield match["name"], number + 1, 1
                continue
            end = to_brace(lines, number + 1, match["indent"])
            if end is not None:
                yield match["name"], number + 1, end - number + 1
    return find


def python(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno - node.lineno + 1


def sql(text):
    for match in re.finditer(r"(?P<quote>\$\w*\$)(?P<body>.*?)(?P=quote)", text, re.S):
        before = text[:match.start()]
        name = re.findall(r"(?:FUNCTION|PROCEDURE) +([\w.]+)|\b(DO)\b", before)
        yield "".join(name[-1]) if name else "text", before.count("\n") + 1, match["body"].strip("\n").count("\n") + 1


LANGUAGES = {
    "C": (r"\.[ch]$", braced(re.compile(r"(?P<indent>)(?P<name>[A-Za-z_]\w*)\((?!.*;$)"))),
    "SQL": (r"\.sql$", sql),
    "Go": (r"\.go$", braced(re.compile(r"(?P<indent>)func (\([^)]*\) )?(?P<name>\w+)"))),
    "Rust": (r"\.rs$", braced(re.compile(
        r"(?P<indent>\s*)(pub(\([\w:]+\))? )?(const )?(async )?(unsafe )?(extern \"C\" )?fn (?P<name>\w+)"))),
    "Python": (r"\.py$", python),
    "shell": (None, braced(re.compile(r"(?P<indent>\s*)(?P<name>[\w-]+)\(\)"))),
}


def sources(tree):
    """What is in the tree, with the language of each."""
    for name in files(tree):
        path = tree / name
        for language, (suffix, find) in LANGUAGES.items():
            if GENERATED.search(name):
                break
            if re.search(suffix, name) if suffix else is_shell(path):
                yield language, name, path.read_text(), find
                break


def is_shell(path):
    if path.suffix:
        return path.suffix == ".sh"
    with open(path, "rb") as file:
        return re.match(rb"#!.*\b(ba)?sh\b", file.readline()) is not None


def functions(tree):
    """(language, file, line, name, lines) of each."""
    for language, name, text, find in sources(tree):
        for function, line, length in find(text):
            yield language, name, line, function, length


def too_long(found):
    return [f"{name}:{line}: {function} has {length} lines" for _, name, line, function, length in found
            if length > LONGEST]


def figures(found):
    for language in LANGUAGES:
        lengths = sorted(length for spoken, *_, length in found if spoken == language)
        if lengths:
            p90 = lengths[min(len(lengths) - 1, len(lengths) * 9 // 10)]
            yield f"{language}: {len(lengths)} functions, median {statistics.median_low(lengths)}, p90 {p90}, longest {lengths[-1]}"


# One of exactly as many lines as are allowed, for each language: what is put in makes it longer.
SAMPLES = {
    "src/a.c": ("int\nlong_one(int x)\n{\n", "\tx++;\n", 3, "}\n"),
    "install/a.sql": ("CREATE FUNCTION cdc.long_one() RETURNS int LANGUAGE sql AS $$\n", "    -- x\n", 0, "$$;\n"),
    "clients/go/a.go": ("func (t *T) long_one() {\n", "\tx++\n", 2, "}\n"),
    "clients/rust/src/a.rs": ("impl T {\n    pub async fn long_one() {\n", "        x();\n", 2, "    }\n}\n"),
    "test/a.py": ("class A:\n    def long_one(self):\n", "        pass\n", 1, ""),
    "scripts/a": ("#!/bin/bash\nlong_one()\n{\n", "\t:\n", 3, "}\n"),
}


def proofs():
    for name, (head, line, frame, tail) in SAMPLES.items():
        for more in (0, 1):
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder) / name
                path.parent.mkdir(parents=True)
                path.write_text(head + line * (LONGEST - frame + more) + tail)
                found = too_long(functions(pathlib.Path(folder)))
            expected = more == 1
            yield (f"{LONGEST + more} lines in {name} are {'found' if expected else 'none too many'}",
                   None if [("long_one" in f) for f in found] == [True] * expected else f"found: {found}")


def main():
    tree = pathlib.Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT
    found = list(functions(tree))
    results = [(f"no function has more than {LONGEST} lines", "\n".join(too_long(found))), *proofs()]
    for line in figures(found):
        print(f"# {line}")
    return say(results)


if __name__ == "__main__":
    sys.exit(main())
