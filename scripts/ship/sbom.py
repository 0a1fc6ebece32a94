"""Writes a bill of materials, CycloneDX 1.5 in JSON: what the extension, the programs in Go and the crate are made of.

  scripts/ship/sbom.py PACKAGE... >sbom.json     PACKAGE: of Debian, what the extension is built with

go and cargo have to be in the PATH, each asks for what the lock files name. Modules of Go are those that are compiled
into what a module exports or runs; crates are those of all features. With SOURCE_DATE_EPOCH it is the same each time.
"""
import datetime
import json
import os
import subprocess
import sys
import uuid

import versions

ROOT = versions.ROOT
MODULES = ("clients/go", "clients/go/cdcprom", "clients/go/cdcotel", "relay")


def output(command, folder):
    return subprocess.run(command, cwd=ROOT / folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def go_modules(folder):
    """(path, version) of what is compiled into a module's packages."""
    template = "{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}}{{end}}{{end}}"
    lines = output(["go", "list", "-deps", "-f", template, "./..."], folder).splitlines()
    return sorted({tuple(line.split(" ")) for line in lines if line.strip()})


def crates():
    """Packages that the crate needs, dependencies of its tests left out."""
    data = json.loads(output(["cargo", "metadata", "--locked", "--all-features", "--format-version", "1"], "clients/rust"))
    packages = {p["id"]: p for p in data["packages"]}
    nodes = {n["id"]: n for n in data["resolve"]["nodes"]}
    seen, todo = set(), [data["resolve"]["root"]]
    while todo:
        node = nodes[todo.pop()]
        if node["id"] not in seen:
            seen.add(node["id"])
            todo += [d["pkg"] for d in node["deps"] if any(k["kind"] != "dev" for k in d["dep_kinds"])]
    return [packages[i] for i in sorted(seen) if i != data["resolve"]["root"]]


def component(kind, name, version, purl, **more):
    return {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl,
            **{key.replace("_", "-"): value for key, value in more.items() if value}}


def ours(name, purl, description):
    return component("library", name, f"{versions.version()}.0", purl, description=description,
                     licenses=[{"license": {"id": "PostgreSQL"}}])


def debian(names):
    for name in names:
        found = subprocess.run(["dpkg-query", "-W", "-f=${Version}", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        version = found.stdout.strip()
        yield component("library", name, version or "any", f"pkg:deb/debian/{name}" + (f"@{version}" if version else ""), scope="required")


def collect(packages):
    components, dependencies, full = {}, [], f"v{versions.version()}.0"

    def add(owner, parts):
        components.setdefault(owner["bom-ref"], owner)
        for part in parts:
            components.setdefault(part["bom-ref"], part)
        dependencies.append({"ref": owner["bom-ref"], "dependsOn": sorted(part["bom-ref"] for part in parts)})

    add(ours("cdc", f"pkg:generic/cdc@{versions.version()}.0", "the extension of PostgreSQL"), list(debian(packages)))
    for folder in MODULES:
        path = f"{versions.home_path()}/{folder}"
        parts = [component("library", name, version, f"pkg:golang/{name}@{version}") for name, version in go_modules(folder)]
        add(ours(path, f"pkg:golang/{path}@{full}", "a module of Go"), parts)
    parts = [component("library", p["name"], p["version"], f"pkg:cargo/{p['name']}@{p['version']}",
                       licenses=[{"expression": p["license"]}] if p.get("license") else None) for p in crates()]
    add(ours("pgcdc", f"pkg:cargo/pgcdc@{versions.version()}.0", "the client in Rust"), parts)
    return list(components.values()), dependencies


def main():
    components, dependencies = collect(sys.argv[1:])
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
    name = f"pkg:generic/cdc@{versions.version()}.0"
    json.dump({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components) + now.isoformat())}",
        "metadata": {"timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                     "component": {"type": "application", "bom-ref": f"{name}#release", "name": "cdc", "version": f"{versions.version()}.0",
                                   "licenses": [{"license": {"id": "PostgreSQL"}}],
                                   "externalReferences": [{"type": "website", "url": versions.home()}]}},
        "components": components, "dependencies": dependencies}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
