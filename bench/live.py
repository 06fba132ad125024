#!/usr/bin/python3
"""What a check from outside costs a program that goes on.

usage: live.py BUILD [--checks N] [--only REGEX]

Each row is a program of bench/live, started with the shim, and checked N times.  Printed are, as
median and largest of the checks:

    pause    how long Coroner says that the threads stood still, ms; of the first check, too
    felt     the longest time between two beats of a thread that wakes every millisecond, ms;
             beside it the same without a check
    copied   what the program wrote meanwhile, hence the kernel copied, MiB
    answer   from the call to the end of `coroner check -f json -o FILE`, s
    own      memory of Coroner's in the snapshot child, MiB
    kept     by how much the program's resident memory grew from the first check to the last, MiB

Some machines are noisy: the column without a check tells how much.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROWS = (
    ("heap 1024 0", "check"),
    ("heap 1024 0 small", "check"),
    ("heap 1024 16", "check"),
    ("heap 4096 0", "check"),
    ("heap 10240 0", "check"),
    ("frames 1000000", "dump"),
    ("stacks 200000", "dump"),
)
QUIET_S, LIMIT_S = 0.3, 300


def resident_mib(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


class Program:
    """A program under the plain preload that answers how long it stood still."""

    def __init__(self, build, row):
        name, *arguments = row.split()
        environment = dict(os.environ, LD_PRELOAD=str(build / "libcoroner.so"),
                           CORONER_OPTIONS="output=/dev/null:error_exitcode=0")
        self.process = subprocess.Popen([build / "bench" / "live" / name, *arguments],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env=environment)
        self.process.stdout.readline()

    def felt_ms(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline()) / 1000

    def end(self):
        self.process.stdin.close()
        self.process.wait(LIMIT_S)


def check(build, program, command, directory):
    """Has it checked once; answers the figures, or a sentence."""
    pid = program.process.pid
    path = directory / "report.json"
    path.unlink(missing_ok=True)
    time.sleep(QUIET_S)
    program.felt_ms()
    time.sleep(QUIET_S)
    quiet = program.felt_ms()
    began = time.monotonic()
    result = subprocess.run([build / "coroner", command, "-f", "json", "-o", path, str(pid)],
                            capture_output=True, text=True, timeout=LIMIT_S, check=False)
    took = time.monotonic() - began
    felt = program.felt_ms()
    if not path.exists():
        return result.stderr.strip()
    process = json.loads(path.read_text(encoding="utf-8"))["processes"][0]
    summary = process["summary"] or {}
    return {"pause": 1000 * (summary.get("check_pause_s") or 0), "felt": felt, "quiet": quiet,
            "copied": process["check"]["copied_bytes"] / (1 << 20), "answer": took,
            "own": (summary.get("check_bytes") or 0) / (1 << 20)}


def row_run(build, row, command, checks):
    with tempfile.TemporaryDirectory(prefix="live.") as name:
        os.environ["XDG_STATE_HOME"] = name
        program = Program(build, row)
        figures, before = [], None
        for _ in range(checks):
            figure = check(build, program, command, pathlib.Path(name))
            if isinstance(figure, str):
                print(f"{row:20} {figure}")
                continue
            figures.append(figure)
            before = before or resident_mib(program.process.pid)
        kept = resident_mib(program.process.pid) - (before or 0)
        program.end()
    if not figures:
        return
    columns = [f"{figures[0]['pause']:6.1f}"]
    for key in ("pause", "felt", "quiet", "copied", "answer", "own"):
        values = [figure[key] for figure in figures]
        columns.append(f"{statistics.median(values):7.2f} {max(values):7.2f}")
    print(f"{row:20} {' |'.join(columns)} | {kept:5.1f}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--checks", type=int, default=10)
    parser.add_argument("--only", default="", type=re.compile)
    options = parser.parse_args()
    print("row                   first |  pause     max |  felt     max |  quiet    max |"
          "  copied   max |  answer   max |   own     max |  kept")
    for row, command in ROWS:
        if options.only == "" or options.only.search(row):
            row_run(options.build.resolve(), row, command, options.checks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
