"""Mechanical rules of style that no packaged tool checks as this tree has them.

  test/lint/style.py [--fix] [DIRECTORY]    the tree to look at; default: this one

Prints TAP. --fix changes what can be changed without thinking, and says where. Then each rule is broken in a small
tree, and must be found, and no other. pg_bsd_indent, as Debian has it, is not used: it takes designated initializers
and compound literals apart; whoever has a newer one gives it scripts/typedefs.list.
"""
import pathlib
import re
import sys
import tempfile

from tree import ROOT, files, say

C, PYTHON = r"\.[ch]$", r"\.py$"
# psql prints blanks; bytes and what is generated is as it is
FOREIGN = re.compile(r"\.(pb|svg|bin|out|spec|lock|json|sum|patch)$|^(test/)?expected/|^test/fuzz/.*seeds|\.pb\.go$|^test/golden/cuts"
                     r"|^LICENSE|^clients/.*\.proto$|/shapes\.sql$")
LONGEST = 120


def width(line):
    return len(line.expandtabs(4))


def trailing(line, _):
    return re.search(r"[ \t\r]$", line)


def without_trailing(line):
    return line.rstrip(" \t\r")


def spaces(line, code):
    return re.match(r"\t* {4,}\S|\t* +\t\s*\S", code)


def with_tabs(line):
    blanks = re.match(r"[ \t]*", line)[0]
    columns = len(blanks.expandtabs(4))
    return "\t" * (columns // 4) + " " * (columns % 4) + line[len(blanks):]


# CdcTable   *table;  names stand twelve columns behind their type's beginning, the star before them
DECLARATION = re.compile(r"(?P<indent>\t+)(?P<type>(?:(?:const|static|volatile|struct|enum|union|unsigned) )*"
                         r"(?!(?:return|goto|else|case|typedef|extern)\b)[A-Za-z_]\w*)(?P<gap>[ \t]+)(?P<star>\**)"
                         r"(?P<rest>[A-Za-z_]\w*(?:\[[^]]*\])*(?: = .*|;|,)$)")


def aligned(line):
    match = DECLARATION.match(line)
    if not match:
        return line
    kind, star = match["type"], match["star"]
    if len(kind) + len(star) + 1 > 12:
        gap = " "
    else:
        # tabs as far as they go
        end = 12 - len(star)
        here, gap = len(kind), ""
        if end - here == 1:
            gap = " "
        else:
            while (here // 4 + 1) * 4 <= end:
                gap += " " if here % 4 == 3 and here + 5 > end else "\t"
                here = (here // 4 + 1) * 4
            gap += " " * (end - here)
    return match["indent"] + kind + gap + star + match["rest"]


def misaligned(line, code):
    match = DECLARATION.match(code)
    return match and aligned(code) != code


def code_of(text):
    """C without comments and texts, with lines and columns where they were."""
    def blank(match):
        if match[0].startswith(('"', "'")):
            return match[0][0] + re.sub(r"[^\n]", "_", match[0][1:-1]) + match[0][0]
        return re.sub(r"[^\n\t]", " ", match[0])
    return re.sub(r'/\*.*?\*/|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'', blank, text, flags=re.S)


def matches(pattern):
    return lambda line, code: re.search(pattern, code)


def types():
    return "|".join((ROOT / "scripts/typedefs.list").read_text().split())


# name: files, what is wrong with a line (and what of it is code), how to mend it or None, a line that breaks it, its file
RULES = {
    "no line ends in blanks": (r"", trailing, without_trailing, "x \t", "docs/a.md"),
    "no tab is in Python or the install script": (rf"{PYTHON}|^install/.*\.sql$", matches(r"\t"), None, "x = 1\t# one", "test/a.py"),
    "C is indented by tabs of 4": (C, spaces, with_tabs, "    int x;", "src/a.c"),
    "names of variables are aligned": (C, misaligned, aligned, "\tint x;", "src/a.c"),
    "C has no // comments": (C, matches(r"//"), None, "// x", "src/a.c"),
    "a blank is behind if, for, while, switch": (C, matches(r"\b(if|for|while|switch)\("), None, "\tif(x)", "src/a.c"),
    "a brace has a line of its own": (C, matches(r"^\s*(\}|if\b.*|else\b.*|for\b.*|while\b.*|switch\b.*|do) *\{ *$|\} *else\b"),
                                      None, "\tif (x) {", "src/a.c"),
    "a star stands with its name": (C, lambda line, code: re.search(rf"\b(char|void|int|bool|Datum|{types()})(\*|\*? \*+) \w", code),
                                    None, "extern int cdc_x(CdcTable * table);", "src/a.h"),
    "a function's name begins its line": (C, matches(r"^(static|extern)? ?[a-z]\w+ [\w *]*\w+\([^;=]*\)$"), None,
                                          "static int add(int x)", "src/a.c"),
    f"no line of C is longer than {LONGEST}, but texts": (
        C, lambda line, code: width(line) > LONGEST and '"' not in line, None, "\tx(" + "y, " * 40 + "z);", "src/a.c"),
    "Python has no line longer than 140": (PYTHON, lambda line, _: width(line) > 140, None, "x = 1" + " + 1" * 40, "test/a.py"),
}


def texts(tree):
    for name in files(tree):
        if FOREIGN.search(name):
            continue
        try:
            yield name, (tree / name).read_bytes().decode()
        except UnicodeDecodeError:
            pass


def faults(tree):
    """Rule to what breaks it; of whole files there are two more."""
    found = {rule: [] for rule in [*RULES, "files end with one line's end", "C has no two empty lines"]}
    for name, text in texts(tree):
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            found["files end with one line's end"].append(name)
        is_c = re.search(C, name)
        if is_c and "\n\n\n" in text:
            found["C has no two empty lines"].append(f"{name}:{text[:text.index(chr(10) * 3)].count(chr(10)) + 2}")
        lines = text.split("\n")
        codes = code_of(text).split("\n") if is_c else lines
        for rule, (where, wrong, *_) in RULES.items():
            if re.search(where, name):
                found[rule] += [f"{name}:{n}: {line.strip()[:100]}" for n, (line, code) in enumerate(zip(lines, codes), 1)
                                if wrong(line, code)]
    return found


def fix(tree):
    for name, text in texts(tree):
        lines = text.split("\n")
        for where, wrong, mend, *_ in RULES.values():
            if mend and re.search(where, name):
                codes = code_of("\n".join(lines)).split("\n") if re.search(C, name) else lines
                lines = [mend(line) if wrong(line, code) else line for line, code in zip(lines, codes)]
        mended = "\n".join(lines).rstrip("\n") + "\n"
        if re.search(C, name):
            mended = re.sub(r"\n{3,}", "\n\n", mended)
        if text and mended != text:
            (tree / name).write_text(mended)
            print(f"mended {name}")


def proofs():
    spoilers = [(rule, file, f"{line}\n") for rule, (*_, line, file) in RULES.items()]
    spoilers += [("files end with one line's end", "docs/a.md", "x"), ("C has no two empty lines", "src/a.c", "\n\n\nint\nx;\n"),
                 (None, "src/a.c", "/*\n *     // if(x) {\n */\nstatic int\nadd(int x, char *y)\n{\n\tchar\t   *text = \"if(x) { // \";\n\n"
                  "\twhile (x > 1 * y)\n\t{\n\t\tx--;\n\t}\n\treturn x;\n}\n")]
    for rule, file, text in spoilers:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / file
            path.parent.mkdir(parents=True)
            path.write_text(text)
            found = [name for name, places in faults(pathlib.Path(folder)).items() if places]
        yield (f"{rule or 'nothing'} is found with \"{text.strip().splitlines()[0][:40]}\"",
               None if found == [rule] * bool(rule) else f"found: {found}")


def main():
    arguments = [a for a in sys.argv[1:] if a != "--fix"]
    tree = pathlib.Path(arguments[0]).resolve() if arguments else ROOT
    if "--fix" in sys.argv:
        fix(tree)
        return 0
    results = [(rule, "\n".join(places)) for rule, places in faults(tree).items()] + list(proofs())
    return say(results)


if __name__ == "__main__":
    sys.exit(main())
