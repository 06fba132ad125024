#!/usr/bin/python3
"""Refuses circles among the source files of one folder: none may call, by whatever way, itself.

    circles.py [--build DIR]

What a file calls is what its object file wants (nm) and another of the same folder defines, so a
call from an inline function of a header counts for the file that it is inlined into.  Assembly is
left out: it is the other half of the C file that it returns to.  Where two files must know of each
other, a callback stands between, which the one above hands down.

Prints one line per circle, and at the end `N passed, N failed, N skipped`, where each file is one
test.
"""
import argparse
import collections
import pathlib
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
LIBRARIES = ("coroner-shim", "crn-runtime", "crn-launcher", "coroner")


def read_symbols(build):
    """Answers {source: (defined, wanted)} of every C file that was built for us."""
    sources = {}
    for library in LIBRARIES:
        objects = build / "CMakeFiles" / f"{library}.dir"
        for path in objects.rglob("*.c.o"):
            source = str(path.relative_to(objects))[:-2]
            if (TOP / source).is_file():  # otherwise it is left over from before it was moved
                sources[str(path)] = source
    symbols = {source: (set(), set()) for source in sorted(sources.values())}
    if not sources:
        return symbols
    listing = subprocess.run(["nm", "--format=posix", "-A", *sources], check=True,
                             capture_output=True, text=True).stdout
    for line in listing.splitlines():
        path, _, row = line.partition(": ")
        name, kind = row.split()[:2]
        if kind not in "wv":
            symbols[sources[path]][kind == "U"].add(name)
    return symbols


def read_calls(symbols):
    """Answers {source: {sources of the same folder that it calls}}."""
    folders = collections.defaultdict(list)
    for source in symbols:
        folders[str(pathlib.PurePath(source).parent)].append(source)
    return {source: {other for other in sources if other != source and
                     symbols[source][1] & symbols[other][0]}
            for sources in folders.values() for source in sources}


def find_circles(calls):
    """Answers the sets of files that call each other (Tarjan's strongly connected components)."""
    numbers, lowest, stack, circles = {}, {}, [], []

    def visit(source):
        numbers[source] = lowest[source] = len(numbers)
        stack.append(source)
        for other in sorted(calls[source]):
            if other not in numbers:
                visit(other)
            if other in stack:
                lowest[source] = min(lowest[source], lowest[other])
        if lowest[source] == numbers[source]:
            at = stack.index(source)
            circles.append(stack[at:])
            del stack[at:]

    for source in sorted(calls):
        if source not in numbers:
            visit(source)
    return [circle for circle in circles if len(circle) > 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    symbols = read_symbols(parser.parse_args().build)
    calls = read_calls(symbols)
    circles = find_circles(calls)
    for circle in circles:
        names = sorted(pathlib.PurePath(source).name for source in circle)
        print(f"FAILED {pathlib.PurePath(circle[0]).parent}: {', '.join(names)} call each other:")
        for source in sorted(circle):
            for other in sorted(calls[source] & set(circle)):
                names = sorted(symbols[source][1] & symbols[other][0])
                print(f"       {pathlib.PurePath(source).name} -> {pathlib.PurePath(other).name}: "
                      f"{', '.join(names[:4])}")
    failed = sum(map(len, circles))
    print(f"{len(symbols) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not symbols else 0


if __name__ == "__main__":
    sys.exit(main())
