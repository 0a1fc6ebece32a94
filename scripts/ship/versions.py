"""One version and one home, wherever they are named. See scripts/versions."""
import datetime
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test/lint"))
from tree import files, say  # noqa: E402

SHORT, FULL, EITHER = "X.Y", "X.Y.0", "X.Y or X.Y.0"

# file, where in it (the group is the version), its form
PLACES = [
    ("cdc.control", r"^default_version = '(.*)'", SHORT),
    ("CHANGELOG.md", r"\A# Changes\n\n## (\S+) \(", SHORT),
    ("clients/go/release.go", r'^const Version = "(.*)"', FULL),
    ("relay/release.go", r'^const Version = "(.*)"', FULL),
    ("clients/rust/Cargo.toml", r'\A\[package\]\nname = "pgcdc"\nversion = "(.*)"', FULL),
    *((f"clients/rust/{folder}Cargo.lock", r'^name = "pgcdc"\nversion = "(.*)"', FULL)
      for folder in ("", "bench-compare/", "examples-bus/", "examples-observability/")),
    *((f"{module}/go.mod", r"^\t?(?:require )?@HOME@/clients/go(?:/\w+)? v(\S+)$", FULL)
      for module in ("clients/go/cdcprom", "clients/go/cdcotel", "clients/go/bench/compare", "relay")),
]
# what is there in some trees alone, and is written by other tools or in the other form
OPTIONAL = [
    ("README.md", r"; (\d+\.\d+) is not released yet", SHORT),
    ("SECURITY.md", r"^(\d+\.\d+) is not released yet", SHORT),
    ("debian/changelog", r"\A[a-z-]+ \((\d+\.\d+(?:\.\d+)?)", EITHER),
    ("packaging/cdc.spec", r"^Version:\s*(\d+\.\d+(?:\.\d+)?)$", EITHER),
    ("packaging/cdc.spec", r"^%changelog\n\* .* - (\d+\.\d+(?:\.\d+)?)-\d+$", EITHER),
    ("packaging/cloudnative-pg/metadata.hcl", r'^ *sql *= "(.*)"', SHORT),
    ("packaging/cloudnative-pg/metadata.hcl", r'^ *package *= "(\d+\.\d+(?:\.\d+)?)[~+-]', EITHER),
]
# Where versions of before stay: what is put before the first one, unless that is not released.
NEW_ENTRIES = {
    "CHANGELOG.md": (r"^(?=## )", "## {version} (unreleased)\n\n"),
    "debian/changelog": (r"\A", "cdc ({version}) unstable; urgency=medium\n\n"
                         "  * CHANGELOG.md has what is in it.\n\n -- {whose}  {mail}\n\n"),
    "packaging/cdc.spec": (r"(?<=^%changelog\n)", "* {rpm} {name} - {version}-1\n- CHANGELOG.md has what is in it.\n\n"),
}
# Hosts that are not a home: what they are for. Tests make up others, which have no dot or are numbers.
HOSTS = {
    "cloudevents.io": "a specification",
    "deb.debian.org": "packages",
    "maven.apache.org": "a namespace",
    "pgxn.org": "a specification",
    "proxy.golang.org": "a toolchain",
    "spdx.org": "a specification",
    "static.rust-lang.org": "a toolchain",
    "www.debian.org": "a specification",
    "www.postgresql.org": "documentation",
    "www.w3.org": "a namespace",
}
FOREIGN = re.compile(r"\.(lock|sum|svg|pb|json|bin|out|list)$|^test/(golden|release)/|^debian/|^LICENSE")
MADE_UP = re.compile(r"(^|\.)(example|invalid|test|localhost)(\.|$)|^example\.|^[\d.]+$")


def read(name):
    return (ROOT / name).read_text(errors="replace")


def home():
    return re.search(r"^HOME_URL = (\S+)$", read("Makefile"), re.M)[1]


def home_path():
    return home().removeprefix("https://")


def version():
    return re.search(PLACES[0][1], read("cdc.control"), re.M)[1]


def places():
    """File, pattern, form of those that there are."""
    for name, pattern, form in PLACES:
        yield name, re.compile(pattern.replace("@HOME@", re.escape(home_path())), re.M), form
    for name, pattern, form in OPTIONAL:
        if (ROOT / name).exists() and re.search(pattern, read(name), re.M):
            yield name, re.compile(pattern, re.M), form


def formed(short, form, old=""):
    if form == EITHER:
        form = FULL if old.count(".") == 2 else SHORT
    return {SHORT: short, FULL: f"{short}.0"}[form]


def disagreeing(get=read):
    short, wrong = version(), []
    if not re.fullmatch(r"(0|[1-9]\d*)\.(0|[1-9]\d*)", short):
        wrong.append(f"cdc.control: {short} is not MAJOR.MINOR")
    for name, pattern, form in places():
        found = pattern.findall(get(name))
        if not found:
            wrong.append(f"{name}: no version where there was one ({pattern.pattern})")
        wrong += [f"{name}: {v}, not {formed(short, form, v)}" for v in found if v != formed(short, form, v)]
    if int(short.split(".")[0]) > 1:
        suffix = f"/v{short.split('.')[0]}"
        wrong += [f"{name}: a Go module of this major version ends in {suffix}" for name in modules()
                  if not re.search(rf"^module \S+{suffix}$", read(name), re.M)]
    return "\n".join(wrong)


def unseen():
    """Places whose version could be another one without a complaint."""
    missed = []
    for name, pattern, _ in list(places())[1:]:
        match = pattern.search(read(name))
        changed = match and read(name)[:match.start(1)] + "0.7" + read(name)[match.end(1):]
        if match and f"{name}: " not in disagreeing(lambda other: changed if other == name else read(other)):
            missed.append(name)
    return "\n".join(missed)


def unreleased():
    return re.search(r"\A# Changes\n\n## \S+ \(unreleased\)$", read("CHANGELOG.md"), re.M)


def add_entries(short):
    """Sections of the new version, where the one of before is released."""
    whose = re.search(r"^ -- (.*>)  ", read("debian/changelog"), re.M)[1]
    now = datetime.datetime.now(datetime.timezone.utc)
    values = {"version": short, "whose": whose, "name": whose.split(" <")[0],
              "mail": now.strftime("%a, %d %b %Y %H:%M:%S +0000"), "rpm": now.strftime("%a %b %d %Y")}
    for name, (where, entry) in NEW_ENTRIES.items():
        (ROOT / name).write_text(re.sub(where, lambda _: entry.format(**values), read(name), count=1, flags=re.M))


def set_version(short):
    if not re.fullmatch(r"\d+\.\d+", short):
        raise SystemExit("a version is MAJOR.MINOR")
    if short != version() and not unreleased():
        add_entries(short)
    for name, pattern, form in list(places()):
        text = read(name)

        def put(match):
            old, begin = match[1], match.start(1) - match.start()
            return match[0][:begin] + formed(short, form, old) + match[0][begin + len(old):]
        changed = pattern.sub(put, text)
        if changed != text:
            (ROOT / name).write_text(changed)
            print(f"{name}: {short}")


def modules():
    """Our own go.mod files."""
    return [name for name in files(ROOT) if name.endswith("go.mod")]


def texts():
    for name in files(ROOT):
        if not FOREIGN.search(name):
            yield name, read(name)


def strangers(name, text):
    """Other homes, and hosts that are not in the list above."""
    url, path = home(), home_path()
    host, owner = path.split("/")[0], re.escape("/".join(path.split("/")[-2:]))
    for match in re.finditer(rf"(?<![\w.-])([\w.-]+/)?{owner}(?![\w-])", text):
        if match[0] != path:
            yield f"{name}: {match[0]}, not {path}"
    for other in re.findall(r"https?://([a-z0-9-]+(?:\.[a-z0-9-]+)+)", text):
        if other not in HOSTS and not MADE_UP.search(other) and other != host:
            yield f"{name}: host {other}"
    for link in re.findall(rf"https://{re.escape(host)}/[^\s)\"'>]*", text):
        if not re.match(rf"{re.escape(url)}([/#.]|$)", link):
            yield f"{name}: {link}, which is not below {url}"


def homeless():
    wrong = [stranger for name, text in texts() for stranger in strangers(name, text)]
    wrong += [f"{name}: the module is not below {home_path()}" for name in modules()
              if not re.search(rf"^module {re.escape(home_path())}/", read(name), re.M)]
    if f'\nrepository = "{home()}"\n' not in read("clients/rust/Cargo.toml"):
        wrong.append(f"clients/rust/Cargo.toml: repository is not {home()}")
    return "\n".join(sorted(set(wrong)))


def set_home(url):
    """In all texts; what is generated out of them is made anew by whoever calls."""
    if not re.fullmatch(r"https://[\w.-]+(/[\w.-]+)+", url):
        raise SystemExit("a home is https://HOST/PATH")
    old, count = home_path(), 0
    for name, text in list(texts()):
        changed = re.sub(rf"(?<![\w.-]){re.escape(old)}(?![\w-])", url.removeprefix("https://"), text)
        if changed != text and not name.endswith(".pb.go"):
            (ROOT / name).write_text(changed)
            count += 1
    print(f"{count} files; now: clients/go/generate.sh, clients/rust/codegen/generate.sh, make format;")
    print("before the first release also scripts/release --freeze")


def main():
    match sys.argv[1:]:
        case ["--set", short]:
            set_version(short)
        case ["--home", url]:
            set_home(url)
        case ["--version"]:
            print(version())
        case []:
            return say([(f"everything has version {version()}", disagreeing()), ("each place that had another one is found", unseen()),
                        (f"the home is {home()} alone", homeless())])
        case _:
            raise SystemExit("usage: scripts/versions [--version | --set X.Y | --home URL]")


if __name__ == "__main__":
    sys.exit(main())
