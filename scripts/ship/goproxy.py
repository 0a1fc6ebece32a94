"""Writes a folder that is a proxy of Go modules (GOPROXY=file://FOLDER) with what a tag of this version would publish.

  scripts/ship/goproxy.py FOLDER

The zip files are as the go command makes them of a repository: the files of a module, without the modules in its folders and
what is no ordinary file. They are equal to the byte whenever the files are.
"""
import json
import pathlib
import sys
import zipfile

import versions

ROOT = versions.ROOT
MODULES = ("clients/go", "clients/go/cdcprom", "clients/go/cdcotel", "relay")


def contents(module, names):
    """The files of a module, by their names in it."""
    inner = [name.removesuffix("go.mod") for name in names if name.endswith("/go.mod") and name != f"{module}/go.mod"]
    for name in names:
        path = ROOT / name
        if name.startswith(f"{module}/") and not any(name.startswith(folder) and folder.startswith(f"{module}/") for folder in inner):
            if path.is_file() and not path.is_symlink():
                yield name.removeprefix(f"{module}/"), path.read_bytes()


def write(folder, module, names):
    path, version = f"{versions.home_path()}/{module}", f"v{versions.version()}.0"
    place = folder / path / "@v"
    place.mkdir(parents=True)
    (place / "list").write_text(f"{version}\n")
    (place / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2000-01-01T00:00:00Z"}))
    (place / f"{version}.mod").write_bytes((ROOT / module / "go.mod").read_bytes())
    with zipfile.ZipFile(place / f"{version}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(contents(module, names)):
            entry = zipfile.ZipInfo(f"{path}@{version}/{name}")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return place / f"{version}.zip"


def main():
    names = versions.files(ROOT)
    for module in MODULES:
        print(write(pathlib.Path(sys.argv[1]), module, names))


if __name__ == "__main__":
    main()
