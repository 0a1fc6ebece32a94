"""Whether META.json, and whatever is beside what is published, is as those who publish it ask. Prints TAP.

  scripts/ship/meta.py

PGXN: the fields of its specification, version 1.0.0. Go and Rust: each module and the crate has its README.md and the
project's LICENSE. Then each rule is broken, and must be found.
"""
import copy
import json
import pathlib
import re
import sys

import versions
from goproxy import MODULES

ROOT = versions.ROOT
SEMVER = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-?[0-9A-Za-z]+)?$")
LICENSES = {"agpl_3", "apache_2_0", "artistic_2", "bsd", "freebsd", "gpl_2", "gpl_3", "lgpl_2_1", "lgpl_3_0", "mit", "mozilla_1_1",
            "mozilla_1_0", "perl_5", "postgresql", "open_source", "restricted", "unrestricted", "unknown"}
PHASES, RELATIONS = {"configure", "build", "test", "runtime", "develop"}, {"requires", "recommends", "suggests", "conflicts"}
FIELDS = {"abstract", "maintainer", "license", "provides", "name", "version", "meta-spec", "description", "generated_by", "tags",
          "no_index", "prereqs", "release_status", "resources"}


def text(value):
    return isinstance(value, str) and value.strip() != ""


def complaints(meta, has_file):
    for field in ("name", "abstract"):
        if not text(meta.get(field)):
            yield f"{field} is no text"
    if not re.fullmatch(r"[^\s/\\\x00-\x1f]{2,}", str(meta.get("name", ""))):
        yield "name has blanks or slashes, or is short"
    if not SEMVER.match(str(meta.get("version", ""))):
        yield "version is no semantic version"
    maintainer = meta.get("maintainer")
    if not (text(maintainer) or isinstance(maintainer, list) and maintainer and all(map(text, maintainer))):
        yield "maintainer is no text, and no list of texts"
    if meta.get("license") not in LICENSES:
        yield "license is none of the keywords"
    spec = meta.get("meta-spec", {})
    if spec.get("version") != "1.0.0" or "url" not in spec:
        yield "meta-spec is not that of version 1.0.0"
    if meta.get("release_status", "stable") not in ("stable", "testing", "unstable"):
        yield "release_status is none of the keywords"
    if not all(map(text, meta.get("tags", []))) or any(len(tag) > 255 for tag in meta.get("tags", [])):
        yield "a tag is no text"
    for field in set(meta) - FIELDS:
        if not field.lower().startswith("x_"):
            yield f"{field} is no field"
    yield from provided(meta, has_file)
    yield from required(meta)
    yield from found_at(meta.get("resources", {}))


def provided(meta, has_file):
    if not isinstance(meta.get("provides"), dict) or not meta["provides"]:
        yield "it provides nothing"
    for name, extension in (meta.get("provides") or {}).items():
        if not SEMVER.match(str(extension.get("version", ""))):
            yield f"{name}: version is no semantic version"
        if not text(extension.get("file")) or not has_file(extension["file"]):
            yield f"{name}: there is no such file"
        if "docfile" in extension and not has_file(extension["docfile"]):
            yield f"{name}: there is no such docfile"
        if set(extension) - {"version", "file", "docfile", "abstract"}:
            yield f"{name}: has other fields"


def required(meta):
    for phase, relations in meta.get("prereqs", {}).items():
        if phase not in PHASES:
            yield f"prereqs: {phase} is no phase"
        for relation, packages in relations.items():
            if relation not in RELATIONS:
                yield f"prereqs: {relation} is no relation"
            if not all(version == 0 or re.search(SEMVER.pattern[:-1], str(version)) for version in packages.values()):
                yield "prereqs: a version is none"


def found_at(resources):
    if set(resources) - {"homepage", "bugtracker", "repository"}:
        yield "resources has others"
    urls = [resources.get("homepage"), *resources.get("bugtracker", {}).values(), resources.get("repository", {}).get("url"),
            resources.get("repository", {}).get("web")]
    if not all(re.match(r"(https?|git)://[^@\s]+$|[^@\s]+@[^@\s]+$", url) for url in urls if url):
        yield "resources: an address is none"
    if "repository" in resources and not re.fullmatch(r"[a-z]+", resources["repository"].get("type", "git")):
        yield "resources: the type of the repository is no word"


def made():
    """META.json, as make META.json does it."""
    source = (ROOT / "META.json.in").read_text()
    return json.loads(source.replace("@VERSION@", versions.version()).replace("@HOME@", versions.home()))


def has_file(name):
    return (ROOT / name).exists() or name == f"cdc--{versions.version()}.sql"


# a field's path, and what it must not be
BREAKS = [("name", None), ("name", "a b"), ("abstract", ""), ("version", "1.0"), ("maintainer", []),
          ("license", "PostgreSQL"),
          ("provides", {}), ("meta-spec.version", "2"), ("release_status", "new"),
          ("tags", [""]), ("more", 1), ("provides.cdc.version", "1"),
          ("provides.cdc.file", "no.sql"), ("provides.cdc.docfile", "no.md"), ("prereqs.runtime", {"needs": {}}), ("prereqs.now", {}),
          ("prereqs.runtime.requires.PostgreSQL", "new"), ("resources.homepage", "here"), ("resources.wiki", {})]


def unseen():
    for path, value in BREAKS:
        meta = copy.deepcopy(made())
        *folders, last = path.split(".")
        place = meta
        for folder in folders:
            place = place[folder]
        place[last] = value
        if not list(complaints(meta, has_file)):
            yield f"{path} = {value}"


def lacking():
    wanted = (ROOT / "LICENSE").read_bytes()
    for package in (*MODULES, "clients/rust"):
        for name in ("README.md", "LICENSE"):
            if not (ROOT / package / name).exists():
                yield f"{package} has no {name}"
        if (ROOT / package / "LICENSE").exists() and (ROOT / package / "LICENSE").read_bytes() != wanted:
            yield f"{package}/LICENSE is another one"
    cargo = pathlib.Path(ROOT / "clients/rust/Cargo.toml").read_text()
    for field in ("description", "license", "repository", "readme", "categories", "rust-version"):
        if not re.search(rf"^{field} = ", cargo, re.M):
            yield f"clients/rust/Cargo.toml has no {field}"


def main():
    return versions.say([("META.json is as PGXN asks", "\n".join(complaints(made(), has_file))),
                         ("what is not so is found", "\n".join(unseen())),
                         ("modules and the crate have README.md and LICENSE", "\n".join(lacking()))])


if __name__ == "__main__":
    sys.exit(main())
