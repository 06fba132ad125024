#!/usr/bin/python3
"""Replays cases with the Nth mmap, open, clone, write, pipe or rename of Coroner's own failing.

    nth.py [--build DIR] [--jobs N] [--most N] [--sample] [NAME…]

Each RUN line of a case, in its gcc -O2 build, runs once to count the calls (runtime/base/fail.h),
then once for each of them, or --most of a kind spread evenly, with that one refused.  What must hold
whatever fails: it ends; nothing crashes; the program prints what it printed and ends as it would
with or without Coroner; no leak is reported that is none; and where a report was there is one, or a
line that says why not.  A test is one RUN line; `--sample` takes few.  Prints `N passed, N failed,
N skipped`.
"""
import argparse
import collections
import concurrent.futures
import mmap
import pathlib
import re
import shutil
import signal
import struct
import sys
import tempfile

import case_facts
import check_schema
import run_cases

KINDS = ("mmap", "open", "clone", "write", "pipe", "rename")  # the rows of crn_failing_calls
LEAK_STATUS = 23
CRASHES = {128 + number for number in (signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS,
                                       signal.SIGFPE, signal.SIGSEGV, signal.SIGSYS)}
SHOWN = 6  # of the sentences about one test
SAMPLE = ("/lost#1", "/abandoned#1", "/plain_preload#1$", "/fork_in_threads#1", "/threads_allocating#1")
SAMPLE_MOST = 12


def is_plain(command):
    """Whether a RUN line only starts the program, in a way that can be undone."""
    return re.fullmatch(r"(coroner run [^|;&<>()`]*|LD_PRELOAD=\$SHIM (CORONER_OPTIONS=\S* )?)"
                        r"\$CASE[^|;&<>()`]*", command) is not None


def asks_coroner(source):
    """Whether a program asks Coroner itself, and goes by the answer."""
    return re.search(r"coroner/|\blsan\.h|__lsan_", source.read_text(encoding="utf-8")) is not None


def without_coroner(command):
    return command[command.index("$CASE"):]


def totals(reports):
    """What reports say in all: {verdict or kind of finding: (blocks, bytes)}."""
    sums = collections.defaultdict(lambda: (0, 0))
    for process in (process for report in reports for process in report["processes"]):
        for leak in process["leaks"]:
            blocks, size = sums[leak["class"]]
            sums[leak["class"]] = (blocks + leak["blocks"] + leak["indirect_blocks"],
                                   size + leak["bytes"] + leak["indirect_bytes"])
        for finding in process["findings"]:
            sums[finding["kind"]] = (sums[finding["kind"]][0] + finding["count"], 0)
    return dict(sums)


class Replay:
    """One RUN line, with calls refused."""

    def __init__(self, test):
        self.test = test
        self.is_plain = is_plain(test.command) and not asks_coroner(test.case.source)
        self.first = self.own = None  # what it does with nothing refused, and without Coroner
        self.most = {}  # totals() of the former

    def run(self, command, failing, counts):
        """Runs a command line; answers what was Seen, with the directory still there."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="coroner-nth-"))
        env = self.test.prepare(directory)
        options = f"fail_call={failing}:count_calls={counts}"
        env["CORONER_OPTIONS"] = options
        command = re.sub(r"\bCORONER_OPTIONS=", f"CORONER_OPTIONS={options}:", command)
        status, out, err = run_cases.bash(command, directory, env, run_cases.SECONDS_EACH)
        return case_facts.Seen(status, out, err, directory)

    def count(self):
        """Runs it as it stands; answers how many calls of each kind there were."""
        with tempfile.NamedTemporaryFile(prefix="coroner-counts-") as file:
            file.truncate(mmap.PAGESIZE)
            self.first = self.run(self.test.command, "mmap=0", file.name)
            file.seek(0)
            counts = struct.unpack(f"{len(KINDS)}Q", file.read(8 * len(KINDS)))
        self.most = totals(self.first.reports())
        if self.is_plain:
            self.own = self.run(without_coroner(self.test.command), "mmap=0", "/dev/null")
        return dict(zip(KINDS, counts))

    def statuses(self):
        return {seen.status for seen in (self.first, self.own) if seen is not None}

    def problems(self, failing):
        """Lets one call fail; answers a sentence for each thing that is not so."""
        with tempfile.NamedTemporaryFile(prefix="coroner-counts-") as file:
            file.truncate(mmap.PAGESIZE)
            seen = self.run(self.test.command, failing, file.name)
        try:
            yield from self.judge(seen)
        finally:
            shutil.rmtree(seen.directory, ignore_errors=True)

    def judge(self, seen):
        if seen.status is None:
            yield f"not over after {run_cases.SECONDS_EACH} s"
            return
        if seen.status in CRASHES and seen.status not in self.statuses():
            yield f"it died by signal {seen.status - 128}: {seen.stderr.strip()[-200:]}"
            return
        if self.is_plain:
            if seen.status not in self.statuses():
                yield f"status {seen.status}, not one of {sorted(self.statuses())}"
            if seen.stdout not in (self.first.stdout, self.own.stdout):
                yield f"it printed {seen.stdout[-200:]!r}, not {self.first.stdout[-200:]!r}"
        yield from self.report_problems(seen)

    def report_problems(self, seen):
        try:
            reports = seen.reports()
        except ValueError as error:
            yield f"a report is no JSON: {error}"
            return
        yield from (f"the report breaks the contract: {sentence}"
                    for report in reports for sentence in check_schema.check(report))
        for name, total in totals(reports).items():
            most = self.most.get(name, (0, 0))
            if total[0] > most[0] or total[1] > most[1]:
                yield f"{name}: {total[0]} blocks, {total[1]} bytes, and {most} with nothing refused"
        processes = [process for report in reports for process in report["processes"]]
        is_bad = any(leak["confidence"] == "proven" for process in processes
                     for leak in process["leaks"])
        if (self.is_plain and self.first.status == LEAK_STATUS and is_bad and
                seen.status != LEAK_STATUS):
            yield f"a leak is reported, and the status is {seen.status}"
        is_said = any(line.startswith("coroner: ") for line in seen.stderr.splitlines())
        if self.first.reports() and not reports and not is_said:
            yield "there is no report and no line that says why"
        for process in processes:
            if process["summary"] is None and not any(report["warnings"] for report in reports):
                yield "a process was not checked, and no warning says why"


def numbers(count, most):
    """From 1 to count, or `most` of them spread evenly, the first and the last among them."""
    if count <= most:
        return range(1, count + 1)
    return sorted({1 + round(i * (count - 1) / (most - 1)) for i in range(most)})


def test_one(test, most, pool):
    """Answers ("passed" | "failed" | "skipped", lines to print, how many runs)."""
    replay = Replay(test)
    directory = pathlib.Path(tempfile.mkdtemp(prefix="coroner-nth-"))
    kept = [directory]
    try:
        reason = test.skip_reason(directory, test.prepare(directory))
        if reason is not None or not test.program.exists():
            return "skipped", [f"skipped {test.name}: {reason or 'it is not built'}"], 0
        counts = replay.count()
        kept += [seen.directory for seen in (replay.first, replay.own) if seen is not None]
        failing = [f"{kind}={number}" for kind in KINDS
                   for number in numbers(counts[kind], most)]
        lines = [f"FAILED {test.name}: {call} refused: {sentence}"
                 for call, sentences in zip(failing, pool.map(
                     lambda call: list(replay.problems(call)), failing))
                 for sentence in sentences]
        if not failing:
            lines = [f"FAILED {test.name}: it makes no call of Coroner's own"]
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        return "failed" if lines else "passed", lines[:SHOWN] + more, len(failing)
    finally:
        for path in kept:
            shutil.rmtree(path, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=run_cases.TOP / "build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--most", type=int, default=10**9, help="calls of a kind, spread evenly")
    parser.add_argument("--sample", action="store_true", help="few cases and few calls")
    parser.add_argument("patterns", nargs="*", metavar="NAME")
    options = parser.parse_args()
    patterns = list(SAMPLE) if options.sample else options.patterns
    most = min(options.most, SAMPLE_MOST) if options.sample else options.most
    tests = [test for test in run_cases.find_tests(options.build.resolve(), patterns)
             if test.way == "" and not test.run.alone and test.name.startswith("gcc-O2/")]
    tally, runs = {"passed": 0, "failed": 0, "skipped": 0}, 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for test in tests:
            verdict, lines, count = test_one(test, most, pool)
            tally[verdict] += 1
            runs += count
            for line in lines:
                print(line, flush=True)
    print(f"{runs} runs with a call refused")
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
