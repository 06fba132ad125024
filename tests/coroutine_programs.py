#!/usr/bin/python3
"""Runs programs that live by coroutines, with and without Coroner, and counts what was seen.

    coroutine_programs.py [--build DIR] [--control] [--keep] [NAME…]

Scripts for existing programs are in coroutine_scripts.py.  Programs against libraries of coroutines
are in coroutines/: their opening comments carry expectations as those of cases do, and they are
compiled here.  Each runs twice in a directory of the same path, as in transparency.py.  Its facts:

    same     standard output, standard error, exit status and the files written are equal
    report   every report keeps the contract (check_schema.py), and no process went unchecked
    dead     no block of a healthy run is called completed or abandoned
    count    as many coroutines were seen as the program made, in the states they are in
    planted  a planted leak is found: its verdict, its function, how often

coroutines/README.md says what the counts mean.  The last line is `N passed, N failed, N skipped`; a
program that is not installed is skipped with a reason.
"""
import argparse
import collections
import concurrent.futures
import dataclasses
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import case_facts
import case_file
import coroutine_scripts
import transparency

TOP = pathlib.Path(__file__).resolve().parent.parent
SOURCES = pathlib.Path(__file__).resolve().parent / "coroutines"
FACTS_SHOWN = 8  # of those that one program breaks
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclasses.dataclass
class Watched:
    """What one run under Coroner left, in the form case_facts asks for, and what it should."""

    report: pathlib.Path
    expects: list
    status: int = 0
    stdout: str = ""
    stderr: str = ""

    def reports(self):
        return [json.loads(self.report.read_text(encoding="utf-8"))]

    def is_planted(self):
        return case_file.Run("", self.expects).expects_leak()


class Session(transparency.Session):
    """A session whose runs say how many coroutines must be seen."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.watched = []
        self.traced = False

    def command(self, argv):
        argv = super().command(argv)
        if self.coroner is not None:
            argv.insert(2, "--coroutines")
            self.watched.append(Watched(self.reports / f"{len(self.transcript)}.json", []))
        if self.traced:
            argv = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=mmap,munmap", "-o",
                    str(self.reports / "trace"), *argv]
        return argv

    def run(self, *argv, unlike=None, expects=(), stacks=None):
        """Runs a command under observation.

        `expects` are EXPECT lines about its report.  `stacks` is a pattern for the lines of strace
        that make a stack; how many there are stands in `expects` as {stacks}.
        """
        self.traced = stacks is not None
        super().run(*argv, unlike=unlike)
        if self.coroner is None:
            return
        made = 0
        if stacks is not None:
            trace = (self.reports / "trace").read_text(encoding="utf-8", errors="replace")
            made = len(re.findall(stacks, trace))
            (self.reports / "trace").unlink()
        self.watched[-1].expects = [line.format(stacks=made) for line in expects]


def compiled(source):
    """The program in a file of coroutines/, whose RUN lines are its steps."""
    case = case_file.read(source)
    flags = re.search(r"^ \* FLAGS: *(.*)$", source.read_text(encoding="utf-8"), re.MULTILINE)
    language = ["g++", "-std=c++20"] if source.suffix == ".cc" else ["gcc", "-std=gnu17"]

    def compile_in(directory):
        return subprocess.run(
            [*language, "-D_GNU_SOURCE", "-g", "-O1", "-pthread", str(source), "-o",
             str(directory / case.name), *(flags.group(1).split() if flags else [])],
            capture_output=True, check=False).stderr.decode(errors="replace")

    def steps(session):
        for run in case.runs:
            session.run(str(session.directory.parent / case.name), *run.words_after_case(),
                        expects=run.expects)

    program = coroutine_scripts.Program(case.name, language[:1], steps, len(case.runs))
    program.prepare = compile_in
    return program


def programs():
    sources = [path for path in sorted(SOURCES.iterdir()) if path.suffix in (".c", ".cc")]
    return coroutine_scripts.PROGRAMS + [compiled(source) for source in sources]


def missing_of(program):
    """Says what a program lacks; None: nothing."""
    absent = [name for name in program.needs if shutil.which(name, path=PATH) is None]
    if absent:
        return f"{', '.join(absent)} is not installed"
    for command, reason in program.probes:
        if subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True,
                          check=False).returncode != 0:
            return reason
    return None


def facts(program, plain, other, session, reports_directory):
    """Answers {fact: sentences that break it}."""
    planted = [run for run in session.watched if run.is_planted()]
    healthy = [run for run in session.watched if not run.is_planted()]
    set_aside = reports_directory.parent / "planted"
    set_aside.mkdir()
    for run in planted:
        if run.report.exists():
            run.report = run.report.rename(set_aside / run.report.name)
    program.least_processes = len(healthy)
    told, _ = transparency.facts(program, plain, other, reports_directory)
    told["count"] = [sentence for run in healthy for sentence in broken(run)]
    if planted:
        told["planted"] = [sentence for run in planted for sentence in broken(run)]
    return told


def broken(run):
    if not run.report.exists():
        return ["there is no report"]
    return case_facts.broken(run.expects, run)


def try_program(program, options):
    """Answers (why it is skipped, {fact: sentences}, seconds of both runs, a line to add)."""
    coroner = None if options.control else str(options.build.resolve() / "coroner")
    root = pathlib.Path(tempfile.mkdtemp(prefix="coroner-coroutines-"))
    root.chmod(0o755)
    reports = root / "reports"
    reports.mkdir()
    said = program.prepare(root)
    if said:
        shutil.rmtree(root, ignore_errors=True)
        lacks = re.search(r"(\S+): No such file or directory|cannot find -l:?(\S+?):? ", said)
        if lacks:
            return f"{lacks.group(1) or lacks.group(2)} is not installed", {}, 0, 0, ""
        return None, {"same": [f"it cannot be compiled: {said.splitlines()[0]}"]}, 0, 0, ""
    sessions = []

    def make_session(*arguments):
        sessions.append(Session(*arguments))
        return sessions[-1]

    began = time.monotonic()
    plain = transparency.perform(program, root, reports, None, [], make_session)
    between = time.monotonic()
    other = transparency.perform(program, root, reports, coroner, [], make_session)
    ended = time.monotonic()
    if options.control:
        told = {"same": list(transparency.differences(plain, other))}
    else:
        told = facts(program, plain, other, sessions[-1], reports)
    if not options.keep:
        shutil.rmtree(root, ignore_errors=True)
    more = f"    kept in {root}" if options.keep else ""
    return None, told, between - began, ended - between, more


def main():
    parser = argparse.ArgumentParser(description="Runs programs that live by coroutines.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the directories and reports")
    options = parser.parse_args()
    chosen = [program for program in programs()
              if not options.names or program.name in options.names]
    tally = collections.Counter()
    print("program            same     report   dead     count    planted  seconds (both)")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        tries = [(program, missing, missing or pool.submit(try_program, program, options))
                 for program in chosen for missing in [missing_of(program)]]
        for program, missing, future in tries:
            told, plain, other, more = {}, 0, 0, ""
            if not missing:
                missing, told, plain, other, more = future.result()
            if missing:
                print(f"{program.name:<18} skipped: {missing}", flush=True)
                tally["skipped"] += 1
                continue
            verdicts = {fact: "FAILED" if lines else "passed" for fact, lines in told.items()}
            tally.update(verdicts.values())
            print(f"{program.name:<18} "
                  + " ".join(f"{verdicts.get(fact, '-'):<8}"
                             for fact in ("same", "report", "dead", "count", "planted"))
                  + f" {plain:.1f}, {other:.1f}", flush=True)
            for fact, lines in told.items():
                for line in lines[:FACTS_SHOWN]:
                    print(f"    FAILED {program.name}/{fact}: {line}")
            if more:
                print(more)
    print(f"{tally['passed']} passed, {tally['FAILED']} failed, {tally['skipped']} skipped")
    return 1 if tally["FAILED"] or not tally["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
