#!/usr/bin/python3
"""The motion soak: correct programs that never stand still, checked every few milliseconds.

    motion.py [--build DIR] [--seconds N] [--jobs N] [PROGRAM…]

Each program of tests/motion knows its own truth (motion.h).  It runs once without Coroner for a
second, then under `coroner run` for its share of N seconds.  Four facts of each are tests: the
output and the status are those of the run without Coroner, no check while it ran was wrong, neither
its own nor one that was asked for from outside (`coroner check`), and the report at its end has what
it lost and nothing else.  Prints `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

import check_schema

LOST_BYTES = 77  # as in motion.h
CHILD_BYTES = 99  # as in forks.c
LOST_COUNT = 8
LEAK_STATUS = 23
CANNOT_LOOK = 4  # the program ends just now, or checks itself
ASK_SECONDS = 0.5
SLACK_SECONDS = 60  # a program that takes this much longer than asked hangs
SHOWN = 12


def run(command, directory, seconds, environment, meanwhile=lambda process: None):
    """Answers (status, stdout, stderr); status None: it did not end."""
    with open(directory / "out", "w+b") as out, open(directory / "err", "w+b") as err:
        process = subprocess.Popen(command, cwd=directory, stdout=out, stderr=err,
                                   stdin=subprocess.DEVNULL, env=environment,
                                   start_new_session=True)
        try:
            meanwhile(process)
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        out.seek(0)
        err.seek(0)
        return status, out.read().decode(errors="replace"), err.read().decode(errors="replace")


def reports(directory):
    for path in sorted(directory.glob("report.json*")):
        report = json.loads(path.read_text(encoding="utf-8"))
        yield from (f"{path.name}: {line}" for line in check_schema.check(report))
        yield report


def truth_of(process, is_first):
    """What one process lost by its own doing: (bytes of a block, fewest blocks, most blocks)."""
    if is_first:
        return LOST_BYTES, LOST_COUNT, LOST_COUNT
    return CHILD_BYTES, 0, 1  # every second child lost one; one that became another program none


def verdict_problems(directory):
    """What the reports say that is not so."""
    first = None
    for report in reports(directory):
        if isinstance(report, str):
            yield report
            continue
        for process in report["processes"]:
            is_first = first is None
            first = first or process
            if process["summary"] is None:
                yield f"process {process['pid']} was not checked: {report['warnings']}"
                continue
            bytes_each, fewest, most = truth_of(process, is_first)
            blocks = 0
            for leak in process["leaks"]:
                is_own = leak["class"] == "lost" and leak["blocks"] * bytes_each == leak["bytes"]
                if is_own and leak["indirect_blocks"] == 0:
                    blocks += leak["blocks"]
                else:
                    names = [frame["function"] for frame in leak["alloc_stack"][:4]]
                    yield (f"process {process['pid']}: {leak['class']} ({leak['confidence']}) "
                           f"{leak['blocks']} blocks, {leak['bytes']} bytes from {names}")
            if not fewest <= blocks <= most:
                yield f"process {process['pid']}: {blocks} of {fewest} to {most} blocks reported"
    if first is None:
        yield "there is no report"


def child_of(process):
    """The program that `coroner run` started; None: it has ended."""
    path = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None:
        children = path.read_text(encoding="ascii").split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    return None


def outside_problems(process, build, directory, environment, seconds):
    """Has the program checked from outside while it runs; what was said that is not so."""
    path = directory / "asked.json"
    end = time.monotonic() + seconds
    environment = environment | {"XDG_STATE_HOME": str(directory / "state")}
    while time.monotonic() < end and (pid := child_of(process)) is not None:
        path.unlink(missing_ok=True)
        result = subprocess.run([build / "coroner", "check", "-f", "json", "-o", path, str(pid)],
                                capture_output=True, text=True, timeout=SLACK_SECONDS,
                                env=environment, check=False)
        if not path.exists():
            if result.returncode != CANNOT_LOOK:
                yield f"a check ended with {result.returncode}: {result.stderr.strip()}"
        else:
            checked = json.loads(path.read_text(encoding="utf-8"))["processes"][0]
            for leak in checked["leaks"] if checked["summary"] is not None else ():
                is_own = leak["class"] == "lost" and leak["blocks"] * LOST_BYTES == leak["bytes"]
                if not is_own and leak["confidence"] == "proven":
                    names = [frame["function"] for frame in leak["alloc_stack"][:4]]
                    yield (f"{leak['class']} {leak['blocks']} blocks, {leak['bytes']} bytes "
                           f"from {names}: {leak['why']}")
        time.sleep(ASK_SECONDS)


def soak(program, build, seconds):
    """Runs one program both ways; answers what is not so, by test."""
    environment = {key: os.environ[key] for key in ("HOME", "TMPDIR") if key in os.environ}
    environment |= {"LC_ALL": "C.UTF-8", "PATH": f"{build}:/usr/bin:/bin"}
    with tempfile.TemporaryDirectory(prefix="motion.") as name:
        directory = pathlib.Path(name)
        problems = {"manners": [], "checks": [], "outside": [], "report": []}
        plain = run([program, "1"], directory, SLACK_SECONDS, environment)
        watched = run([build / "coroner", "run", "--format=json", "--output=report.json", "--",
                       program, str(seconds)], directory, seconds + SLACK_SECONDS, environment,
                      lambda process: problems["outside"].extend(
                          outside_problems(process, build, directory, environment, seconds)))
        problems["outside"] = problems["outside"][:SHOWN]
        if watched[0] is None:
            problems["manners"].append("it did not end")
        if watched[1] != plain[1]:
            problems["manners"].append(f"it printed {watched[1]!r}, not {plain[1]!r}")
        if (plain[0], watched[0]) != (0, LEAK_STATUS):
            problems["manners"].append(f"status {watched[0]}, and {plain[0]} without Coroner")
        problems["checks"] += watched[2].splitlines()[:SHOWN]
        problems["report"] += list(verdict_problems(directory))[:SHOWN]
        return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--seconds", default=120, type=float, help="of all programs together")
    parser.add_argument("--jobs", default=2, type=int, help="programs at a time")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    options = parser.parse_args()
    build = options.build.resolve()
    found = sorted(path for path in (build / "tests" / "motion").glob("*")
                   if path.is_file() and os.access(path, os.X_OK) and path.suffix == "")
    chosen = [path for path in found if not options.programs or path.name in options.programs]
    seconds = max(1.0, options.seconds * options.jobs / max(1, len(chosen)))
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for program, problems in zip(chosen, pool.map(lambda path: soak(path, build, seconds),
                                                      chosen)):
            for test, lines in problems.items():
                passed += not lines
                failed += bool(lines)
                for line in lines:
                    print(f"FAILED {program.name}: {test}: {line}")
    if not chosen:
        print("FAILED no such program was built")
        failed += 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
