"""Runs the command blocks of the documents, in order, as a reader would, and compares what they print.

Each document has a fresh server, for README.md as a package makes it, for the others with the settings that README.md
asks for; its own folder, in which the tree's files are; and first NAME.sql of this folder: what the reader is
expected to have. Then

- ```sql is run by psql, ```sh by bash -e; ```text behind one of them is what it prints. That is compared loosely:
  its lines, in their order, among others; numbers and blanks do not count, … stands for anything. The lines
  `-- ERROR:` of a block of SQL are the errors that it must have, and no others.
- <!-- not run: REASON --> before a block says that it is not run, and why. They are counted and printed.
- <!-- run by FILE --> says that another test runs it; the FILE must be there.
- <!-- as ROLE --> runs a block of SQL as that role; <!-- from 17 --> is for servers of that major and later.

Blocks of other languages are no commands, and neither are indented ones; what looks like commands there is a fault.
"sudo", "systemctl restart postgresql" and "pg_ctl restart" act on the test's server.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import rooms

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts/ship"))
import links  # noqa: E402
from tree import walk  # noqa: E402
DOCUMENTS = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md")), "clients/go/README.md",
             "clients/rust/README.md"]
RUN = ("sh", "sql")
COMPILED = ("go", "rust", "rust,ignore", "rust,no_run")  # by the clients' own tests
OTHER = ("text", "json", "yaml", "proto", "conf", "toml")
TIMEOUT = 60
MARK = re.compile(r"<!--\s*(not run: .+?|run by \S+|as \S+|from \d+)\s*-->", re.S)


class Block:
    def __init__(self, document, line, language, text, marks):
        self.where, self.language, self.text = f"{document}:{line}", language, text
        self.skipped = next((m[9:] for m in marks if m.startswith("not run: ")), None)
        self.elsewhere = next((m[7:] for m in marks if m.startswith("run by ")), None)
        self.role = next((m[3:] for m in marks if m.startswith("as ")), None)
        self.oldest = int(next((m[5:] for m in marks if m.startswith("from ")), 0))
        self.printed = None


def blocks(document, lines):
    """The fenced blocks; marks are the comments between a block and what was before it."""
    found, between, number = [], [], 0
    while number < len(lines):
        fence = re.match(r"( *)```(\S*)\s*$", lines[number])
        if not fence:
            if re.match(r"(    |\t)(psql|make|go |cargo|pg_\w+|bench/|scripts/|SELECT|CREATE|ALTER|GRANT)", lines[number]):
                raise SystemExit(f"{document}:{number + 1}: commands want a fence: {lines[number].strip()}")
            between.append(lines[number])
            number += 1
            continue
        begin = number + 1
        number = begin
        while lines[number].strip() != "```":
            number += 1
        indent = len(fence[1])
        text = "".join(line[indent:] if line.strip() else line for line in lines[begin:number])
        comments = "".join(between)
        marks = MARK.findall(re.search(r"(\s*<!--((?!-->).)*-->)*\s*$", comments, re.S)[0])
        found.append(Block(document, begin, fence[2], text, [" ".join(m.split()) for m in marks]))
        if fence[2] == "text" and len(found) > 1 and found[-2].language in RUN and not comments.strip():
            found[-2].printed = text
        between = []
        number += 1
    return found


class Server:
    """A cluster in a folder of its own."""

    def __init__(self, bindir, folder, prepared, template):
        self.bindir, self.folder, self.data = bindir, folder, folder / "data"
        if not template.exists():
            self.pg("initdb", "-D", template, "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "--no-sync")
        shutil.copytree(template, self.data, copy_function=shutil.copyfile)
        self.data.chmod(0o700)
        with open(self.data / "postgresql.conf", "a") as conf:
            conf.write(f"listen_addresses = ''\nunix_socket_directories = '{folder}'\nfsync = off\n"
                       "timezone = 'UTC'\nautovacuum_naptime = '1d'\n")
            if prepared:
                conf.write("wal_level = logical\nshared_preload_libraries = cdc\n")
                if "output_plugin_libraries" in self.pg("postgres", "--describe-config"):
                    conf.write("output_plugin_libraries = 'pgoutput, test_decoding, cdc'\n")
        self.ctl("start")

    def pg(self, program, *args):
        done = subprocess.run([f"{self.bindir}/{program}", *map(str, args)], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=TIMEOUT)
        if done.returncode:
            raise SystemExit(f"{program} failed:\n{done.stdout}")
        return done.stdout

    def ctl(self, *action):
        # no pipe: the server would keep it open
        with open(self.folder / "ctl.log", "a") as log:
            subprocess.run([f"{self.bindir}/pg_ctl", "-D", self.data, "-l", self.folder / "log", "-w", "-t", "50",
                            *action], stdout=log, stderr=log, stdin=subprocess.DEVNULL, check=True, timeout=TIMEOUT)

    def stop(self):
        if (self.data / "postmaster.pid").exists():
            self.ctl("stop", "-m", "immediate")


class Reader:
    """Somebody with a server, a shell and a checkout."""

    def __init__(self, bindir, folder, prepared, template):
        self.server = Server(bindir, folder, prepared, template)
        self.home = folder / "cdc"
        self.home.mkdir()
        for entry in ROOT.iterdir():
            (self.home / entry.name).symlink_to(entry)
        stubs = folder / "bin"
        stubs.mkdir()
        restart = f"exec {bindir}/pg_ctl -D {self.server.data} -l {folder}/log -w -m fast restart >/dev/null"
        as_anybody = 'while [ "${1#-}" != "$1" ]; do [ "$1" = -u ] && shift; shift; done; exec "$@"'
        for name, text in (("systemctl", restart), ("sudo", as_anybody)):
            (stubs / name).write_text(f"#!/bin/sh\n{text}\n")
            (stubs / name).chmod(0o755)
        self.environment = {"PATH": f"{stubs}:{bindir}:{os.environ['PATH']}", "HOME": str(folder), "PGHOST": str(folder),
                            "PGUSER": "postgres", "PGDATABASE": "mydb", "LC_ALL": "C.UTF-8", "PGCONNECT_TIMEOUT": "10"}
        self.shell("createdb mydb")

    def shell(self, text, command=("bash", "-e"), **more):
        """Exit status and output. Whatever it has left running ends with it."""
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   text=True, errors="replace", cwd=self.home, env={**self.environment, **more}, start_new_session=True)
        try:
            output, _ = process.communicate(text, timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return 124, f"{output}\nnot done after {TIMEOUT} s"
        try:
            os.killpg(process.pid, signal.SIGTERM)
        except ProcessLookupError:
            pass
        return process.returncode, output

    def psql(self, text, role=None, stop=False):
        flags = ["-v", "ON_ERROR_STOP=1"] if stop else []
        return self.shell(text, ("psql", "-X", "-P", "pager=off", *flags), **({"PGUSER": role} if role else {}))


def loosely(line):
    """A line as a pattern: numbers and blanks are what they are, … is anything."""
    parts = [re.escape(part) for part in re.sub(r"[ |+-]+", " ", line).strip().split("…")]
    return re.compile(".*".join(re.sub(r"[0-9A-F]*[0-9][0-9A-F]*", "[0-9A-F]+", part) for part in parts))


def lacking(printed, output):
    """The first line of what is to be printed that is not there."""
    lines = iter([re.sub(r"[ |+-]+", " ", line).strip() for line in output.splitlines()])
    for line in filter(str.strip, printed.splitlines()):
        pattern = loosely(line)
        if not pattern.pattern:
            continue
        if not any(pattern.search(other) for other in lines):
            return line
    return None


def wrong(reader, block):
    """What is wrong with a block, or nothing."""
    if block.language == "sh":
        status, output = reader.shell(block.text)
        # a loop ends where its command fails
        if status or re.search(r"\b(ERROR|FATAL|error): ", output):
            return f"exit status {status}\n{output}"
    else:
        _, output = reader.psql(block.text, block.role)
        expected = re.findall(r"^-- ERROR: +(.*)", block.text, re.M)
        errors = re.findall(r"(?:ERROR|FATAL|error): +(.*)", output)
        if len(expected) != len(errors) or not all(loosely(e).search(re.sub(r"[ |+-]+", " ", f))
                                                   for e, f in zip(expected, errors)):
            return f"errors: {errors}, expected: {expected}\n{output}"
    line = lacking(block.printed or "", output)
    return line and f"not printed: {line}\n{output}"


class Tap:
    def __init__(self):
        self.tests = self.failed = 0

    def result(self, name, complaint):
        self.tests += 1
        self.failed += bool(complaint)
        print(f"{'not ok' if complaint else 'ok'} {self.tests} - {name}", flush=True)
        for line in (complaint or "").splitlines()[:60]:
            print(f"#   {line[:300]}", flush=True)

    def skip(self, name, reason):
        self.tests += 1
        print(f"ok {self.tests} - {name} # SKIP not run: {reason}", flush=True)


def install_script():
    return "".join(part.read_text() for part in ROOT.glob("install/*.sql"))


def code(name):
    return next(ROOT.glob(f"src/**/{name}")).read_text()


def told_otherwise():
    """Rules of compatibility with their levels, methods of redaction, and options, that documents and code do not
    both have."""
    said = (ROOT / "docs/schema-evolution.md").read_text()
    rules = (re.findall(r'\{"(\w+)", (true|false), \w+\}', code("evolution.c")) +
             re.findall(r"SELECT (?:relation, version, )?'(\w+)', (?:NULL, )?\w+, \w+, (true|false),", install_script()))
    there = {f"{name} ({'wire' if wire == 'true' else 'file'})" for name, wire in rules}
    told = {f"{name} ({level})" for name, level in re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\| (wire|file) \|", said, re.M)}
    names = re.findall(r'^\t\[CDC_METHOD_\w+\] = \{"(\w+)"', code("redact.c"), re.M)
    options = re.findall(r'^\t\{"(\w+)", ', code("options.c"), re.M)
    there |= set(names)
    methods = (ROOT / "docs/reference.md").read_text().split("| method |")[1].split("\n\n")[0]
    told |= set(re.findall(r"^\| `(\w+)` \|", methods, re.M))
    readme = (ROOT / "README.md").read_text()
    comment = re.search(r"COMMENT ON FUNCTION cdc\.redact\(.*?;\n", install_script(), re.S)[0]
    lacking = {f"{method} in README.md" for method in names if f"`{method}`" not in readme}
    lacking |= {f"{method} in the comment of cdc.redact()" for method in names if not re.search(rf"\b{method}\b", comment)}
    for document in ("README.md", "docs/protocol.md"):
        table = (ROOT / document).read_text().split("| option |")[1].split("\n\n")[0]
        listed = set(re.findall(r"`(\w+)`", " ".join(re.findall(r"^\|([^|]*)\|", table, re.M))))
        lacking |= {f"option {name} in {document}" for name in set(options) ^ listed}
    return "\n".join(sorted(there ^ told | lacking))


def named_in_vain():
    """Files that documents name, and functions with them, that are not there; a name may lack its first folders,
    and what has SUBJECT or such in it stands for others."""
    names = [name for name in walk(ROOT) if ".git/" not in name and "/target/" not in name]
    there = {"/".join(parts[n:]) for parts in (name.split("/") for name in names) for n in range(len(parts))}
    lacking = []
    for document in [*DOCUMENTS, "SECURITY.md"]:
        named = re.findall(r"`([\w./-]+\.(?:c|h|sql|pl|pm|py|sh|awk|spec|proto|svg|list|yml))`", (ROOT / document).read_text())
        named += re.findall(r"`((?:src|install|scripts|test|bench|clients|proto|docs|sql|expected)/[\w./-]*)`",
                            (ROOT / document).read_text())
        lacking += [f"{document}: {name}" for name in named
                    if name.removeprefix("./").rstrip("/") not in there and not re.search("^cdc--|[A-Z]{4}", name)]
    # `session/plugin.c`, `cdc_change_cb()`
    for name, function in re.findall(r"`([\w/]+\.[ch])`, `(\w+)\(\)`", (ROOT / "docs/design.md").read_text()):
        if not re.search(rf"^(static.*)?{function}\(", (ROOT / "src" / name).read_text(), re.M):
            lacking.append(f"docs/design.md: {function}() in {name}")
    return "\n".join(sorted(set(lacking)))


def uncharted():
    """Documents that the site's table of contents does not have."""
    contents = (ROOT / "docs/SUMMARY.md").read_text()
    names = sorted(path.name for path in (ROOT / "docs").glob("*.md"))
    return "\n".join(name for name in names if name != "SUMMARY.md" and f"]({name})" not in contents)


def undocumented():
    """What README.md does not say of what the extension does to a server."""
    readme = (ROOT / "README.md").read_text()
    triggers = re.findall(r"^CREATE EVENT TRIGGER (\w+)", install_script(), re.M)
    settings = re.findall(r'DefineCustom\w+\("([\w.]+)"', code("settings.c"))
    numbers = "no one two three four five six seven eight nine ten eleven twelve".split()
    wanted = [f"`{name}`" for name in triggers + settings] + [f"{numbers[len(triggers)]} event triggers"]
    return "\n".join(name for name in wanted if name not in readme)


def run(tap, bindir, major, template, document):
    found = blocks(document, (ROOT / document).read_text().splitlines(keepends=True))
    commands = [block for block in found if block.language in RUN]
    for block in found:
        if block.language not in (*RUN, *COMPILED, *OTHER):
            tap.result(f"{block.where} says what it is", f"```{block.language or '(nothing)'}")
    if not any(not (block.skipped or block.elsewhere) for block in commands):
        folder = None
    else:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="cdc-docs-"))
    reader = None
    try:
        if folder:
            reader = Reader(bindir, folder, document != "README.md", template)
            setup = HERE / (document.removesuffix(".md").replace("/", "-") + ".sql")
            if setup.exists():
                status, output = reader.psql(setup.read_text(), stop=True)
                tap.result(f"{document}: what is there before", status and output)
        for block in commands:
            first = block.text.strip().splitlines()[0][:60]
            name = f"{block.where} {first}".replace("#", "")
            if block.skipped:
                tap.skip(name, block.skipped)
            elif block.oldest > major:
                tap.skip(name, f"PostgreSQL {block.oldest}")
            elif block.elsewhere:
                tap.result(f"{name} (by {block.elsewhere})",
                           None if (ROOT / block.elsewhere).exists() else "there is no such test")
            else:
                tap.result(name, wrong(reader, block))
    finally:
        if reader:
            reader.server.stop()
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
    return sum(bool(b.skipped) for b in commands), sum(bool(b.elsewhere) for b in commands), len(commands)


def main():
    pg_config, *wanted = sys.argv[1:]
    bindir = subprocess.check_output([pg_config, "--bindir"], text=True).strip()
    names = [d for d in DOCUMENTS if not wanted or d.removesuffix(".md") in wanted or d in wanted]
    if wanted and len(names) < len(wanted):
        raise SystemExit(f"documents are {' '.join(DOCUMENTS)}")
    major = int(re.search(r"PostgreSQL (\d+)", subprocess.check_output([pg_config, "--version"], text=True))[1])
    tap = Tap()
    tap.result("README.md names event triggers and settings", undocumented())
    tap.result("rules of compatibility, methods of redaction and options are told as they are", told_otherwise())
    tap.result("files that documents name are there", named_in_vain())
    tap.result("their links lead somewhere", links.broken())
    tap.result("the table of contents has all of docs/", uncharted())
    tap.result("the picture of the rooms is that of the source", rooms.outdated())
    with tempfile.TemporaryDirectory(prefix="cdc-docs-") as folder:
        template = pathlib.Path(folder) / "data"
        counts = [run(tap, bindir, major, template, name) for name in names]
    skipped, elsewhere, all_ = map(sum, zip(*counts))
    print(f"# {all_} blocks of commands: {all_ - skipped - elsewhere} run, {elsewhere} by other tests, {skipped} not at all")
    print(f"1..{tap.tests}")
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
