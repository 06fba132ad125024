#!/usr/bin/python3
"""Runs the cases: small programs that carry their story and what must be reported of them.

    run_cases.py [--build DIR] [--repeat N] [--repeat-rows N] [--jobs N] [--keep] [NAME…]

Every RUN line of every build of a case is one test, run by bash in a directory of its own, with the
coroner of the build directory first on the PATH.  A RUN line with a ROW is a test in two more ways,
from a stripped copy of the program and without wiping; one with a SCENARIO in three more, under a
plain preload, linked with the shim and without Coroner.  Prints one line per fact that is not so,
and at the end `N passed, N failed, N skipped`.  README.md has the grammar of the cases.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile

import case_facts
import case_file

SECONDS_EACH = 30
FACTS_SHOWN = 8  # of those that one test breaks
TOP = pathlib.Path(__file__).resolve().parent.parent


def environment(build, source, program):
    """What a RUN line may use, and nothing of the caller's that could steer Coroner."""
    kept = {key: os.environ[key] for key in ("HOME", "USER", "TMPDIR") if key in os.environ}
    path = f"{build}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    return {**kept, "LC_ALL": "C.UTF-8", "PATH": path, "CASE": str(program),
            "SOURCE": str(source), "SHIM": str(build / "libcoroner.so")}


def bash(command, directory, env, seconds):
    """Runs a command line; answers (status, stdout, stderr), with status None when time ran out.

    The command gets a session of its own, so that what it started ends with it.
    """
    with open(directory / ".stdout", "w+b") as out, open(directory / ".stderr", "w+b") as err:
        shell = subprocess.Popen(["/bin/bash", "-c", command], cwd=directory, env=env, stdout=out,
                                 stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            status = shell.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            for deadly in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(shell.pid, deadly)
                    shell.wait(2)  # the traps of the command line run here
                except (subprocess.TimeoutExpired, ProcessLookupError):
                    pass
        out.seek(0)
        err.seek(0)
        if status is not None and status < 0:
            status = 128 - status
        return status, out.read().decode(errors="replace"), err.read().decode(errors="replace")


def options_of(command):
    """`coroner run --key=value … $CASE word…` as (`key=value:…`, `$CASE word…`)."""
    options, _, program = command.removeprefix("coroner run ").partition("$CASE")
    settings = [word.removeprefix("--") for word in options.split()]
    return (":".join(word if "=" in word else f"{word}=yes" for word in settings),
            f"$CASE{program}")


def preloaded(command):
    options, program = options_of(command)
    return f"LD_PRELOAD=$SHIM CORONER_OPTIONS={options} {program}"


def linked(command):
    options, program = options_of(command)
    return f"CORONER_OPTIONS={options} {program}"


def unwatched(command):
    return options_of(command)[1]


COMMAND_OF_WAY = {"preloaded": preloaded, "linked": linked, "unwatched": unwatched}
UNWATCHED = ["stderr-lines 0", "exit status=0", "processes 0"]


class Test:
    """One run of one build of a case, in one way: "" is as it stands, ways() has the others."""

    def __init__(self, case, variant, number, way, build):
        self.case, self.run, self.way, self.build = case, case.runs[number], way, build
        self.command = COMMAND_OF_WAY.get(way, lambda command: command)(self.run.command)
        folder = "linked" if way == "linked" else ""
        self.program = build / "tests" / "cases" / variant / folder / case.name
        words = " ".join(self.run.words_after_case())
        self.name = f"{variant}/{case.name}#{number + 1}" + (f" ({words})" if words else "")
        self.name += f" row {self.run.row}" if self.run.row else ""
        self.name += f" scenario {self.run.scenario}" if self.run.scenario else ""
        self.name += f" {way}" if way else ""

    def is_repeated_row(self):
        return self.run.row and self.way != "unwiped"

    def skip_reason(self, directory, env):
        for need in self.run.needs:
            command, _, reason = need.partition("#")
            if bash(command, directory, env, SECONDS_EACH)[0] != 0:
                return reason.strip()
        return None

    def prepare(self, directory):
        """Makes what this way needs; answers the environment of the run."""
        env = environment(self.build, self.case.source, self.program)
        if self.way == "stripped":
            env["CASE"] = str(directory / self.case.name)
            subprocess.run(["strip", "-o", env["CASE"], str(self.program)], check=True)
        elif self.way == "unwiped":
            env["CASE_UNWIPED"] = "1"
        return env

    def names(self, directory):
        """What a run of the program that was stripped calls its functions."""
        original = directory / "original"
        original.mkdir()
        bash(self.run.command, original, environment(self.build, self.case.source, self.program), SECONDS_EACH)
        return case_facts.names_in(case_facts.Seen(0, "", "", original).reports())

    def broken(self, seen):
        """Answers one sentence for each fact that is not so, as far as this way asks for it."""
        if self.way == "unwiped":
            return case_facts.exceeded(self.run.expects, seen)
        if self.way == "unwatched":
            return case_facts.broken([expect for expect in self.run.expects
                                      if expect.startswith("stdout")] + UNWATCHED, seen)
        if self.way == "stripped":
            seen.names = self.names(seen.directory)
            return case_facts.broken(
                [re.sub(r" root=\S+", "", expect) for expect in self.run.expects], seen)
        return case_facts.broken(self.run.expects, seen)

    def try_once(self, keep):
        """Answers ("passed" | "failed" | "skipped", lines to print)."""
        directory = pathlib.Path(tempfile.mkdtemp(prefix="coroner-case-"))
        try:
            if not self.program.exists():
                if self.case.header:
                    return "skipped", [f"skipped {self.name}: built only with {self.case.header}"]
                return "failed", [f"FAILED {self.name}: it is not built"]
            env = self.prepare(directory)
            env["XDG_STATE_HOME"] = str(directory / ".state")  # nothing of a test is left elsewhere
            reason = self.skip_reason(directory, env)
            if reason is not None:
                return "skipped", [f"skipped {self.name}: {reason}"]
            status, out, err = bash(self.command, directory, env, SECONDS_EACH)
            if status is None:
                return "failed", [f"FAILED {self.name}: not over after {SECONDS_EACH} s"]
            wrong = self.broken(case_facts.Seen(status, out, err, directory))
            if len(wrong) > FACTS_SHOWN:
                wrong[FACTS_SHOWN:] = [f"and {len(wrong) - FACTS_SHOWN} more"]
            if wrong and err.strip():
                wrong.append(f"its standard error began: {err.strip().splitlines()[0][:200]}")
            return ("failed" if wrong else "passed",
                    [f"FAILED {self.name}: {sentence}" for sentence in wrong])
        finally:
            if keep:
                print(f"kept {self.name}: {directory}")
            else:
                shutil.rmtree(directory, ignore_errors=True)


def ways(run):
    """A row's truth must not hang on names, nor a verdict on what was wiped, nor a scenario on how
    the shim got there."""
    if run.scenario:
        return ("", *COMMAND_OF_WAY)
    if not run.row:
        return ("",)
    return ("", "stripped", "unwiped") if run.expects_leak() else ("", "stripped")


def is_built(case, variant):
    """Whether CMake builds a case by the compiler and level that a directory is named after."""
    if variant.startswith("clang-19"):
        return case.name.startswith("cxx20_") and not case.once
    return not case.once or variant == "gcc-O2"


def find_tests(build, patterns):
    tests = []
    variants = sorted(path.name for path in (build / "tests" / "cases").glob("*-O?"))
    for case in case_file.read_all():
        for variant in [name for name in variants if is_built(case, name)]:
            tests += [Test(case, variant, number, way, build)
                      for number, run in enumerate(case.runs) for way in ways(run)]
    return [test for test in tests
            if not patterns or any(re.search(pattern, test.name) for pattern in patterns)]


def main():
    parser = argparse.ArgumentParser(description="Runs the cases.")
    parser.add_argument("patterns", nargs="*", metavar="NAME",
                        help="only tests whose name matches one of these regular expressions")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--repeat", type=int, default=1, metavar="N")
    parser.add_argument("--repeat-rows", type=int, default=1, metavar="N",
                        help="run each row so often, wiped and not stripped or stripped")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--keep", action="store_true", help="keep each test's directory")
    options = parser.parse_args()
    tests = [test for test in find_tests(options.build.resolve(), options.patterns)
             for _ in range(options.repeat_rows if test.is_repeated_row() else 1)]
    tally = {"passed": 0, "failed": 0, "skipped": 0}

    def note(result):
        verdict, lines = result
        tally[verdict] += 1
        for line in lines:
            print(line, flush=True)

    for _ in range(options.repeat):
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            for result in pool.map(lambda test: test.try_once(options.keep),
                                   [test for test in tests if not test.run.alone]):
                note(result)
        for test in tests:
            if test.run.alone:
                note(test.try_once(options.keep))
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
