"""Pages of reference, out of what there is: SQL by its COMMENTs, settings, metrics, the relay's settings, the protocol, and what
the clients export. Used by site.py."""
import json
import pathlib
import re
import subprocess
import tempfile

from google.protobuf import descriptor_pb2

import versions

ROOT = versions.ROOT
TEXT = r"'((?:[^']|'')*)'"


def read(name):
    return (ROOT / name).read_text()


def cell(text):
    return re.sub(r"\s+", " ", text).strip().replace("|", "\\|").replace("<", "&lt;")


def table(head, rows):
    return "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)])


def paragraph(text):
    """A comment as Markdown, in which no sign is one."""
    return re.sub(r"([*<\[\]`])", r"\\\1", text)


# --- SQL ------------------------------------------------------------------------

def parts():
    """The parts of the install script: subject, text."""
    makefile = read("Makefile").replace("\\\n", " ")
    for name in re.search(r"^SQL_PARTS = (.*)$", makefile, re.M)[1].split():
        yield name, read(f"install/{name}.sql")


def comments(text):
    """(kind, name) to its comment."""
    found = re.findall(rf"COMMENT ON (FUNCTION|VIEW|TABLE|COLUMN|EVENT TRIGGER) (\S+?(?:\([^;]*?\))?) IS\s+{TEXT};", text)
    return {(kind, name): comment.replace("''", "'") for kind, name, comment in found}


def declarations(text):
    """Arguments and result of each function, by its name."""
    head = r"CREATE FUNCTION cdc\.(\w+)\((.*?)\)\s+RETURNS\s+(.*?)\s+LANGUAGE"
    for name, arguments, result in re.findall(head, text, re.S):
        if result not in ("trigger", "event_trigger"):
            yield name, " ".join(arguments.split()), " ".join(result.split())


def sql():
    out = ["# SQL: functions, views and tables", "",
           "What stands here are the comments in the database: `\\df+ cdc.*` and `\\d+ cdc.*` show them, too. What is too long "
           "for a comment is in [Functions in full](../reference.md)."]
    for subject, text in parts():
        said, lines = comments(text), []
        for name, arguments, result in declarations(text):
            comment = next((c for (kind, what), c in said.items() if kind == "FUNCTION" and what.startswith(f"cdc.{name}(")), None)
            if comment and "For the extension's own functions" not in comment:
                if len(arguments) > 60:
                    arguments = "\n  " + re.sub(r", (?=(?:INOUT |OUT |VARIADIC )?[\"\w]+ [a-z])", ",\n  ", arguments)
                lines += [f"### {name}", "", f"```sql\ncdc.{name}({arguments}) RETURNS {result}\n```", "", paragraph(comment), ""]
        for (kind, name), comment in said.items():
            if kind in ("VIEW", "TABLE"):
                lines += [f"### {name.removeprefix('cdc.')} ({kind.lower()})", "", paragraph(comment), ""]
                columns = [(f"`{what.removeprefix(name + '.')}`", cell(c)) for (k, what), c in said.items()
                           if k == "COLUMN" and what.startswith(f"{name}.")]
                if columns:
                    lines += [table(("column", "what it is"), columns), ""]
        if lines:
            out += ["", f"## {subject.replace('_', ' ').capitalize()}", "", *lines]
    return "\n".join(out)


def options():
    """The table of options and that of settings, which tests compare with the source."""
    readme = read("README.md")
    out = ["# Options and settings", "", "## Options of a stream", "",
           "| option |" + readme.split("| option |")[1].split("\n\n")[0], "", "## Settings", ""]
    rows = []
    for call in re.findall(r'DefineCustom(\w+)Variable\((".*?)\);', read("src/util/settings.c"), re.S):
        name, short, long = (re.findall(r'"((?:[^"\\]|\\.)*)"|\b(NULL)\b', call[1]) + [("", "")] * 3)[:3]
        rows.append((f"`{name[0]}`", call[0].lower(), cell(f"{short[0]} {long[0]}")))
    out += [table(("setting", "type", "what it does"), rows), "", "How to set them: [README](../../index.md)."]
    return "\n".join(out)


# --- the rest ---------------------------------------------------------------------

def metrics():
    rows = []
    for m in json.loads(read("observability/metrics.json"))["metrics"]:
        labels = ", ".join(f"`{k}`" for k in m["labels"])
        rows.append((f"`{m['name']}`", m["type"], labels, ", ".join(m["from"]), cell(m["help"])))
    head = ("metric", "type", "labels", "shown by", "what it is")
    return "# Metrics\n\nWhat to watch of them: [Operations](../operations.md).\n\n" + table(head, rows)


def relay():
    """The table that tests compare with what the command prints."""
    text = read("docs/relay.md")
    rows = re.findall(r"^\| `[a-z]+\.[a-z_]+` \|.*$", text, re.M)
    head = text[:text.index(rows[0])].rstrip().splitlines()[-2:]
    return "# Settings of the relay\n\n[The relay](../relay.md) says what they are for.\n\n" + "\n".join(head + rows)


def descriptor():
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["protoc", f"-I{ROOT}/proto", "--include_source_info", f"--descriptor_set_out={folder}/set",
                        "cdc/v1/cdc.proto"], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString((pathlib.Path(folder) / "set").read_bytes()).file[0]


def protocol():
    file = descriptor()
    said = {tuple(location.path): location for location in file.source_code_info.location}

    def comment(*path):
        location = said.get(path)
        return cell(f"{location.leading_comments} {location.trailing_comments}") if location else ""

    def type_of(field):
        name = field.type_name.split(".")[-1] or descriptor_pb2.FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        ours_ = field.type_name.startswith(f".{file.package}.") and not name.endswith("Entry")
        name = f"[{name}](#{name.lower()})" if ours_ else f"`{name}`"
        return f"repeated {name}" if field.label == field.LABEL_REPEATED else name

    out = ["# Messages of the protocol", "",
           f"`{file.package}`, from `proto/cdc/v1/cdc.proto`; [the protocol](../protocol.md) says how they go together."]
    for m, message in enumerate(file.message_type):
        rows = [(str(field.number), f"`{field.name}`", type_of(field), comment(4, m, 2, f)) for f, field in enumerate(message.field)]
        out += ["", f"## {message.name}", "", comment(4, m), "", table(("number", "field", "type", "what it is"), rows) if rows else ""]
    for e, enum in enumerate(file.enum_type):
        rows = [(str(value.number), f"`{value.name}`", comment(5, e, 2, v)) for v, value in enumerate(enum.value)]
        out += ["", f"## {enum.name}", "", comment(5, e), "", table(("number", "value", "what it is"), rows)]
    return "\n".join(out)


def exported(language):
    """What test/release has of the newest release, by package or item."""
    lists = sorted(ROOT.glob(f"test/release/*/{language}.api"), key=lambda p: [int(n) for n in p.parent.name.split(".")])
    if not lists:
        return None
    groups = {}
    for line in lists[-1].read_text().splitlines():
        name, _, declaration = line.partition(": ")
        groups.setdefault(name, []).append(declaration)
    title, command, fence = {"go": ("Go", "go doc -all PACKAGE", "go"), "rust": ("Rust", "cargo doc --open", "rust")}[language]
    out = [f"# What the client in {title} exports", "",
           f"Of version {lists[-1].parent.name}, as later ones are compared with it. With its documentation: `{command}`, and "
           f"[the client](../../clients/{language}/index.md)."]
    for name, lines in groups.items():
        out += ["", f"## {name}", "", f"```{fence}", *lines, "```"]
    return "\n".join(out)


# file, title, text
PAGES = [
    ("sql", "SQL", sql),
    ("options", "Options and settings", options),
    ("metrics", "Metrics", metrics),
    ("relay", "Settings of the relay", relay),
    ("protocol", "Messages of the protocol", protocol),
    ("go", "Go API", lambda: exported("go")),
    ("rust", "Rust API", lambda: exported("rust")),
]
