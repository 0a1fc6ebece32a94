"""The files of a tree: what git has or would add; in a copy without git, what is not made by a build or a test."""
import os
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
MADE = re.compile(r"^(src/cdc|results|output_iso|tmp_check|test/unit/build|test/fuzz/build)/|(^|/)(target|__pycache__)/"
                  r"|\.(o|so|bc|pyc)$|^regression\.|^cdc--|\.pb-c\.[ch]$|^\.git/")


def walk(tree):
    """Names of all files below, and of folders, also while some come and go."""
    return [os.path.relpath(os.path.join(folder, name), tree)
            for folder, folders, names in os.walk(tree) for name in folders + names]


def files(tree):
    """Names of files, sorted."""
    if (tree / ".git").exists():
        command = ["git", "-c", "safe.directory=*", "ls-files", "--cached", "--others", "--exclude-standard"]
        names = subprocess.check_output(command, cwd=tree, text=True).splitlines()
    else:
        names = walk(tree)
    return sorted(name for name in names if not MADE.search(name) and (tree / name).is_file())


def say(results):
    """Prints TAP of (name, complaint or nothing), and gives an exit status."""
    for number, (name, complaint) in enumerate(results, 1):
        print(f"{'not ok' if complaint else 'ok'} {number} - {name}")
        for line in (complaint or "").splitlines():
            print(f"#   {line}")
    print(f"1..{len(results)}")
    return 1 if any(complaint for _, complaint in results) else 0
