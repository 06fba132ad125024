#!/usr/bin/python3
"""Compares every #include "…" with the layers of runtime/README.md: includes point down, or stay.

Prints one line per include that points up, or at nothing, and at the end `N passed, N failed, N
skipped`, where each source file is one test.
"""
import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
LIST = TOP / "runtime" / "README.md"
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
SOURCES = (".c", ".cc", ".h", ".S", ".def")


def read_layers():
    """Answers {folder: row}, row 0 at the top."""
    rows = [re.findall(r"`([^`]+)`", line.split("|")[1])
            for line in LIST.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    return {folder: row for row, folders in enumerate(rows) for folder in folders}


def layer_of(path, layers):
    """The folder of the list that a file of the repository lies in."""
    for parent in path.relative_to(TOP).parents:
        if str(parent) in layers:
            return str(parent)
    return None


def find(name, source):
    """The file that an include means, or None."""
    for folder in (source.parent, TOP / "runtime", TOP / "probes" / "include", TOP):
        path = (folder / name).resolve()
        if path.is_file() and path.is_relative_to(TOP):
            return path
    return None


def check(source, layers):
    """Says what is wrong with the includes of one file."""
    here = layer_of(source, layers)
    where = source.relative_to(TOP)
    if here is None:
        yield f"{where} lies in no layer of {LIST.relative_to(TOP)}"
        return
    for name in INCLUDE.findall(source.read_text(encoding="utf-8")):
        target = find(name, source)
        there = layer_of(target, layers) if target is not None else None
        if there is None:
            yield f'{where} includes "{name}", which is in no layer'
        elif layers[there] < layers[here]:
            yield f'{where} ({here}) includes "{name}", which is above it ({there})'


def main():
    layers = read_layers()
    folders = sorted({folder.partition("/")[0] for folder in layers})
    sources = [path for folder in folders for path in sorted((TOP / folder).rglob("*"))
               if path.suffix in SOURCES]
    failed = 0
    for source in sources:
        wrong = list(check(source, layers))
        failed += bool(wrong)
        for sentence in wrong:
            print(f"FAILED {sentence}")
    print(f"{len(sources) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
