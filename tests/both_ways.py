#!/usr/bin/python3
"""Asks each case for a check from outside where it ends, and holds the answer against its facts.

    both_ways.py [--build DIR] [--jobs N] [--variant DIR] [--keep] [--sample] [NAME…]

A RUN line that only starts the program runs with await_check (shim/await.h): when the end begins,
each process waits until `coroner check` has asked it.  The answer must say what the EXPECT lines
say, but for what only an end can know (README.md), and the report at the end must be as ever.
Prints one line per fact that is not so, and at the end `N passed, N failed, N skipped`.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading

import case_facts
import nth
import run_cases

CHECK_SECONDS = 30
FACTS_SHOWN = 8
# Options that steer the report, hence count for the command that asks.
OF_THE_REPORT = ("suppressions", "coroutines", "max-leaks", "malloc-context-size", "report-objects",
                 "strict")
# Facts of the end, or of the run as a whole.
OF_THE_END = ("exit", "stdout", "stderr", "stdout-lines", "stderr-lines", "process")
# A cancellation that is under way when the program ends is over only then.
ONLY_OVER_AT_END = re.compile("cancelled( |$)")
SAMPLE = ("row [BU]", "/coro_exit", "/ended_threads#11", "/born_in_teardown#", "/unknown_memory#2[0-2]",
          "/resurrected#")


def is_left_out(run):
    return any(line.startswith("never ") for line in run.live)


def report_options(command):
    """What of `coroner run --key=value …` the asking command must be told, too."""
    words = re.findall(r"--([a-z-]+)(=\S*)?", command.partition("$CASE")[0])
    return [f"--{key}{value}" for key, value in words if key in OF_THE_REPORT]


def facts(run):
    """What must hold of an answer: (exactly, at most)."""
    if run.live:
        return [line.partition("#")[0].strip() for line in run.live], []
    left_out = OF_THE_END if "--coroutines" in run.command else (*OF_THE_END, "coroutines")
    asked = [expect for expect in run.expects if expect.split()[0] not in left_out]
    return asked, [expect for expect in asked if ONLY_OVER_AT_END.match(expect)]


def is_one_of_ours(pid, fifo):
    """Whether that process was started with this FIFO: a pid may be another namespace's."""
    for environ in pathlib.Path(f"/proc/{pid}/task").glob("*/environ"):
        try:  # of a thread that has ended, be it the first, nothing can be read
            if str(fifo).encode() in environ.read_bytes():
                return True
        except OSError:
            pass
    return False


def pid_here(pid, fifo):
    """The number that we have for a process that calls itself `pid`; None: it is not to be found."""
    if is_one_of_ours(pid, fifo):
        return pid
    for status in pathlib.Path("/proc").glob("[0-9]*/status"):
        try:
            numbers = re.search(r"^NSpid:(.*)$", status.read_text(), re.MULTILINE)[1].split()
        except (OSError, TypeError):
            continue
        if len(numbers) > 1 and numbers[-1] == pid and is_one_of_ours(numbers[0], fifo):
            return numbers[0]
    return None


class Asker(threading.Thread):
    """Reads pids from the FIFO, and has each of those processes checked."""

    def __init__(self, fifo, directory, build, options):
        super().__init__(daemon=True)
        self.fifo, self.fd = fifo, os.open(fifo, os.O_RDWR | os.O_NONBLOCK)
        self.directory, self.options = directory, options
        self.coroner = build / "coroner"
        self.is_over = threading.Event()
        self.asked, self.problems = 0, []

    def ask(self, pid):
        self.asked += 1
        number = pid_here(pid, self.fifo)
        if number is None:
            self.problems.append(f"process {pid} is not to be found")
            return
        command = [self.coroner, "check", "--format=json",
                   f"--output={self.directory}/report.json.{pid}", *self.options, number]
        try:
            done = subprocess.run(command, cwd=self.directory.parent, capture_output=True,
                                  timeout=CHECK_SECONDS, stdin=subprocess.DEVNULL, check=False,
                                  env={**os.environ, "XDG_STATE_HOME": str(self.directory)})
        except subprocess.TimeoutExpired:
            self.problems.append(f"the check was not over after {CHECK_SECONDS} s")
            return
        if done.returncode not in (0, nth.LEAK_STATUS):
            said = done.stderr.decode(errors="replace").strip()
            self.problems.append(f"the check exited with {done.returncode}: {said[:200]}")

    def run(self):
        text = b""
        while not self.is_over.is_set():
            if select.select([self.fd], [], [], 0.02)[0]:
                text += os.read(self.fd, 4096)
            while b"\n" in text:
                pid, _, text = text.partition(b"\n")
                self.ask(pid.decode())

    def end(self):
        self.is_over.set()
        self.join()
        os.close(self.fd)


def judge(test, directory, env):
    """Answers (sentences, how many processes were asked)."""
    fifo, answers = directory / ".fifo", directory / ".live"
    os.mkfifo(fifo)
    answers.mkdir()
    option = f"await_check={fifo}"
    env["CORONER_OPTIONS"] = option
    command = re.sub(r"\bCORONER_OPTIONS=", f"CORONER_OPTIONS={option}:", test.command)
    asker = Asker(fifo, answers, test.build, report_options(test.command))
    asker.start()
    status, out, err = run_cases.bash(command, directory, env, run_cases.SECONDS_EACH)
    asker.end()
    if status is None:
        return [f"not over after {run_cases.SECONDS_EACH} s", *asker.problems], asker.asked
    wrong = list(asker.problems)
    wrong += [f"at the end: {sentence}"
              for sentence in test.broken(case_facts.Seen(status, out, err, directory))]
    if asker.asked > 0 and not asker.problems:
        live = case_facts.Seen(0, "", "", answers)
        expects, bounds = facts(test.run)
        wrong += [f"live: {sentence}" for sentence in
                  [*case_facts.broken(expects, live, bounds), *unjudged(test.run, live)]]
    return wrong, asker.asked


def unjudged(run, live):
    """A sentence for each process without a verdict, where the end has one."""
    if any(re.match("summary .*=null|process .*summary=null", expect) for expect in run.expects):
        return []
    return [f"process {process['pid']} has no verdict: {report['warnings']}"
            for report in live.reports() for process in report["processes"]
            if process["summary"] is None]


def test_one(test, keep):
    """Answers ("passed" | "failed" | "skipped", lines to print)."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="coroner-both-"))
    try:
        env = test.prepare(directory)
        env["XDG_STATE_HOME"] = str(directory / ".state")
        reason = test.skip_reason(directory, env)
        if reason is not None or not test.program.exists():
            return "skipped", [f"skipped {test.name}: {reason or 'it is not built'}"]
        wrong, asked = judge(test, directory, env)
        if not wrong and asked == 0:
            return "skipped", [f"skipped {test.name}: no end of it waits"]
        if len(wrong) > FACTS_SHOWN:
            wrong[FACTS_SHOWN:] = [f"and {len(wrong) - FACTS_SHOWN} more"]
        return ("failed" if wrong else "passed",
                [f"FAILED {test.name}: {sentence}" for sentence in wrong])
    finally:
        if keep:
            print(f"kept {test.name}: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=run_cases.TOP / "build")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--variant", default="gcc-O2", help="the compiler and level")
    parser.add_argument("--keep", action="store_true", help="keep each test's directory")
    parser.add_argument("--sample", action="store_true", help="few cases")
    parser.add_argument("patterns", nargs="*", metavar="NAME")
    options = parser.parse_args()
    patterns = list(SAMPLE) if options.sample else options.patterns
    tests = [test for test in run_cases.find_tests(options.build.resolve(), patterns)
             if test.way == "" and not test.run.alone and nth.is_plain(test.command) and
             test.name.startswith(options.variant + "/") and not is_left_out(test.run)]
    tally = {"passed": 0, "failed": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict, lines in pool.map(lambda test: test_one(test, options.keep), tests):
            tally[verdict] += 1
            for line in lines:
                print(line, flush=True)
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not tests else 0


if __name__ == "__main__":
    sys.exit(main())
