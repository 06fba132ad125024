#!/usr/bin/python3
"""Overwrites what is called dead in existing programs, and compares what they then do.

    poison.py [--build DIR] [--every N] [--likely] [--sample] [--keep] [NAME…]

Each program (transparency_programs.py) runs twice: as it is, and with a preloaded library (poison/)
that at every N-th call of a few functions of libc asks about the callee-saved registers and slots of
all its callers' frames, and writes a poison to those that are called dead for certain; with
--likely, to all that are called dead.  Facts:

    same      standard output, standard error, exit status and the files written are equal
    poisoned  something was
    control   poison where a place is called *read* does change what a program does

--sample runs two programs and asks few questions.  Each program's row says how many registers and
slots were dead, read and unknown.  The last line is `N passed, N failed, N skipped`.
"""
import argparse
import collections
import json
import pathlib
import shutil
import sys
import tempfile

import transparency
import transparency_programs

TOP = pathlib.Path(__file__).resolve().parent.parent
NAMES = ["git", "sqlite3", "python3", "qemu-img", "redis", "php8.2", "ruby"]
SAMPLE = ["sqlite3", "qemu-img"]


def session_of(library, variables):
    """A kind of session that preloads the library into what is observed, and into nothing else."""
    class Session(transparency.Session):
        def spawn(self, argv):
            plain = self.environment
            self.environment = plain | {"LD_PRELOAD": str(library)} | variables
            try:
                return super().spawn(argv)
            finally:
                self.environment = plain
    return Session


def add_up(path):
    """Sums what the processes of one run have counted."""
    total = {"poisoned": 0, "registers": collections.Counter(), "slots": collections.Counter()}
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        total["poisoned"] += row["poisoned"]
        for kind in ("registers", "slots"):
            total[kind].update(row[kind])
    return total


def words(counter):
    whole = max(sum(counter[what] for what in ("dead", "read", "unknown")), 1)
    return ", ".join(f"{counter[what]} {what} ({100 * counter[what] // whole} %)"
                     for what in ("dead", "read", "unknown")) + f", {counter['certain']} certain"


def ask(program, root, library, options, plain, ports, control=False):
    """Runs a program with poison; answers the differences and the sums."""
    counts = root / f"counts{int(control)}"
    variables = {"POISON_OUTPUT": str(counts), "POISON_EVERY": str(options.every),
                 "POISON_LIKELY": str(int(options.likely)), "POISON_READ": str(int(control))}
    other = transparency.perform(program, root, root, None, ports, session_of(library, variables))
    return list(transparency.differences(plain, other)), add_up(counts)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=TOP / "build", type=pathlib.Path)
    parser.add_argument("--every", type=int, default=0)
    parser.add_argument("--likely", action="store_true")
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.every = options.every or (1009 if options.sample else 997)
    library = options.build.resolve() / "tests" / "poison" / "poison.so"
    names = options.names or (SAMPLE if options.sample else NAMES)
    passed, failed, skipped, poisoned = 0, 0, 0, 0
    has_control = False
    for program in transparency_programs.PROGRAMS:
        if program.name not in names:
            continue
        missing = [need for need in program.needs if shutil.which(need) is None]
        if missing:
            print(f"SKIPPED {program.name}: {missing[0]} is not installed")
            skipped += 1
            continue
        root = pathlib.Path(tempfile.mkdtemp(prefix="poison-"))
        ports = []
        plain = transparency.perform(program, root, root, None, ports)
        differences, counts = ask(program, root, library, options, plain, ports)
        for difference in differences[:8]:
            print(f"FAILED {program.name}: {difference}")
        poisoned += counts["poisoned"]
        print(f"{program.name}: {counts['poisoned']} poisoned; "
              f"registers {words(counts['registers'])}; slots {words(counts['slots'])}", flush=True)
        good = not differences and counts["poisoned"] > 0
        passed, failed = passed + good, failed + (not good)
        if not has_control:
            has_control = True
            changed, _ = ask(program, root, library, options, plain, ports, control=True)
            print(f"control: {program.name} does {'' if changed else 'not '}mind poison that is read")
            passed, failed = passed + bool(changed), failed + (not changed)
        if not options.keep:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{poisoned} places were overwritten")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
