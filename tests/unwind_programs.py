#!/usr/bin/python3
"""Runs programs with every captured stack compared with libunwind's, frame by frame.

    unwind_programs.py [--build DIR] [--all] [--keep] [NAME…]

Existing programs are listed in unwind_scripts.py.  The programs of unwind/ make stacks that are
hard to walk; their opening comments say how they are built and what may differ:

    BUILD:     compiler, levels (each is one program), flags.  The first one is run stripped, too
    FLAGS:     of every build
    PLUGIN:    a shared library and flags for it; its path is the program's next argument
    STACKS:    at least so many stacks are compared when all of them are
    EVERY:     without --all, only every so many-th is
    EXPLAINED: reasons of runtime/stack/verify.h that may occur
    OPTIONS:   of Coroner, in place of fold_recursion=no

A program passes when it ends as ever, enough stacks were compared, and each difference has one of
the reasons it may have.  Prints a line for each, with numbers, and at the end `N passed, N failed,
N skipped`.  --all compares every stack, in every build: some minutes, some millions of stacks.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import unwind_scripts

TOP = pathlib.Path(__file__).resolve().parent.parent
SOURCES = pathlib.Path(__file__).resolve().parent / "unwind"
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
EXPLAINED = ("ends_in_unknown_code", "ends_in_registered_code", "ends_by_register",
             "left_the_stack", "too_deep", "folded", "unknown_to_libunwind", "libgcc_agrees")
WRONG = ("unexplained", "memo_wrong", "not_captured", "no_witness")
SECONDS = 240
SHOWN = 3  # differences of a program that fails
COMMON_FLAGS = ["-D_GNU_SOURCE", "-g", "-Wall", "-Wextra", "-fno-builtin-malloc",
                "-fno-builtin-free", "-fno-builtin-calloc", "-fno-builtin-realloc",
                "-fno-builtin-aligned_alloc"]


@dataclasses.dataclass
class Subject:
    """A program to run: how, and what may come of it."""

    name: str
    script: str             # for bash, in a directory of its own
    needs: list
    every: int              # compare every so many-th stack
    least: int              # so many must have been compared
    explained: list
    prepare: object = None  # answers what a compiler said, in that directory
    options: str = "fold_recursion=no"


def compiled(source, build, level, flags, plugins, stripped):
    """What builds one program of unwind/ in a directory."""
    compiler = build[0]
    standard = "-std=c++20" if source.suffix == ".cc" else "-std=gnu17"

    def prepare(directory):
        commands = [[compiler, standard, level, *COMMON_FLAGS, *build[1:], str(source), *flags,
                     "-o", "program", *(["-s"] if stripped else [])]]
        commands += [["gcc", "-O2", "-fPIC", "-shared", str(SOURCES / words[0]), *words[1:], "-o",
                      f"plugin{i}.so"] for i, words in enumerate(plugins)]
        return "".join(subprocess.run(command, cwd=directory, capture_output=True, text=True,
                                      check=False).stderr for command in commands)

    return prepare


def own_subjects(everything):
    """The programs of unwind/, in their builds; without `everything` the first and last ones."""
    for source in sorted(SOURCES.iterdir()):
        if source.suffix not in (".c", ".cc") or ".plugin." in source.name:
            continue
        opening = source.read_text(encoding="utf-8").partition("*/")[0]
        said = collections.defaultdict(list)
        for word, rest in re.findall(r"^ \* ([A-Z]+): *(.*?)\s*$", opening, re.MULTILINE):
            said[word].append(shlex.split(rest))
        flags, explained = sum(said["FLAGS"], []), sum(said["EXPLAINED"], [])
        every = 1 if everything else int(said["EVERY"][0][0]) if said["EVERY"] else 1
        builds = [([words[0], *(word for word in words[1:] if not word.startswith("-O"))], level)
                  for words in said["BUILD"] for level in words[1:] if level.startswith("-O")]
        variants = [(*builds[0], True)] + [(*build, False) for build in builds]
        if not everything:
            variants = [variants[0], variants[len(variants) // 2], variants[-1]]
        arguments = "".join(f" ./plugin{i}.so" for i in range(len(said["PLUGIN"])))
        for build, level, stripped in variants:
            label = " ".join([source.stem, build[0] + level, *build[1:]])
            yield Subject(label + (" stripped" if stripped else ""), f"./program{arguments}",
                          [build[0]], every, int(said["STACKS"][0][0]) // every, explained,
                          compiled(source, build, level, flags, said["PLUGIN"], stripped),
                          *said["OPTIONS"][:1] and said["OPTIONS"][0])


def existing_subjects(everything):
    for program in unwind_scripts.PROGRAMS:
        every = program.every_of_all if everything else program.every
        times = program.times if everything else 1
        yield Subject(program.name, "set -e\n" + program.setup +
                      f"\nfor round in $(seq {times}); do\n:\n{program.script}\ndone\n",
                      program.needs, every, program.least, program.explained)


@dataclasses.dataclass
class Outcome:
    """What came of one subject."""

    counts: collections.Counter
    differences: list
    failures: list
    seconds: float = 0
    skipped: str = ""


def run(subject, options):
    """Runs a subject under the shim; answers its Outcome."""
    outcome = Outcome(collections.Counter(), [], [])
    missing = [name for name in subject.needs if shutil.which(name, path=PATH) is None]
    if missing:
        outcome.skipped = f"{', '.join(missing)} is not installed"
        return outcome
    directory = pathlib.Path(tempfile.mkdtemp(prefix="coroner-unwind-"))
    said = subject.prepare(directory) if subject.prepare is not None else ""
    if said:
        outcome.failures.append(f"it cannot be compiled: {said.splitlines()[0]}")
    log = directory / "stacks.json"
    shim = options.build.resolve() / "libcoroner.so"
    watch = (f"export LD_PRELOAD={shim} CORONER_OPTIONS=verify_stacks={subject.every}:"
             f"verify_output={log}:leak_check_at_exit=no:{subject.options}\n")
    kept = {key: os.environ[key] for key in ("TMPDIR",) if key in os.environ}
    env = {**kept, "HOME": str(directory), "LC_ALL": "C.UTF-8", "PATH": PATH}
    began = time.monotonic()
    try:
        done = subprocess.run(["/bin/bash", "-c", watch + subject.script], cwd=directory, env=env,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS,
                              check=False)
        if done.returncode != 0:
            error = done.stderr.decode(errors="replace").strip().splitlines()
            outcome.failures.append(f"it ended with {done.returncode}: {error[-1:]}")
    except subprocess.TimeoutExpired:
        outcome.failures.append(f"it did not end within {SECONDS} seconds")
    outcome.seconds = time.monotonic() - began
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    for process in map(json.loads, lines):
        outcome.differences += process.pop("differences")
        outcome.counts.update({key: value for key, value in process.items()
                               if isinstance(value, int) and key != "pid"})
    judge(subject, outcome)
    if options.keep:
        print(f"    {subject.name}: kept in {directory}")
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return outcome


def compared(outcome):
    return sum(outcome.counts[key] for key in ("equal", *EXPLAINED, *WRONG))


def judge(subject, outcome):
    """Adds what is not as it should be to the failures."""
    for reason in WRONG:
        if outcome.counts[reason]:
            outcome.failures.append(f"{outcome.counts[reason]} stacks are {reason}")
    for reason in EXPLAINED:
        if outcome.counts[reason] and reason not in subject.explained:
            outcome.failures.append(f"{outcome.counts[reason]} stacks differ: {reason}")
    if compared(outcome) < subject.least:
        outcome.failures.append(f"only {compared(outcome)} stacks were compared, "
                                f"not {subject.least}")


def show(subject, outcome):
    if outcome.skipped:
        print(f"{subject.name:<52} skipped: {outcome.skipped}", flush=True)
        return "skipped"
    reasons = ", ".join(f"{outcome.counts[key]} {key}" for key in (*EXPLAINED, *WRONG)
                        if outcome.counts[key])
    print(f"{subject.name:<52} {compared(outcome):>8} {outcome.counts['frames']:>10} "
          f"{outcome.seconds:>6.1f}  {reasons}", flush=True)
    for failure in outcome.failures:
        print(f"    FAILED {subject.name}: {failure}")
    if outcome.failures:
        odd = [one for one in outcome.differences if one["reason"] not in subject.explained]
        odd.sort(key=lambda one: (one["reason"] not in WRONG, -one["times"]))
        for one in odd[:SHOWN]:
            print(f"      {one['reason']}, {one['times']} times, at frame {one['at']}")
            for witness in ("ours", "libunwind", "fresh", "libgcc"):
                print(f"        {witness:<10} {' '.join(one[witness])[:200]}")
    return "failed" if outcome.failures else "passed"


def main():
    parser = argparse.ArgumentParser(description="Compares captured stacks with libunwind's.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="the first word of a line")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--all", action="store_true", help="every stack, every build")
    parser.add_argument("--keep", action="store_true", help="keep the directories")
    options = parser.parse_args()
    subjects = [subject for subject in (*existing_subjects(options.all), *own_subjects(options.all))
                if not options.names or subject.name.split()[0] in options.names]
    tally, total = collections.Counter(), collections.Counter()
    print(f"{'program':<52} {'stacks':>8} {'frames':>10} seconds")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        futures = [pool.submit(run, subject, options) for subject in subjects]
        for subject, future in zip(subjects, futures):
            outcome = future.result()
            tally[show(subject, outcome)] += 1
            total += outcome.counts
            total["stacks"] += compared(outcome)
    print(f"{total['stacks']} stacks of {total['frames']} frames compared, {total['equal']} equal; "
          + ", ".join(f"{total[key]} {key}" for key in (*EXPLAINED, *WRONG)))
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not tally["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
