#!/usr/bin/python3
"""The table of environment faults: what fails, when, how the program then ends, and what is left.

    environment.py [--build DIR] [--jobs N] [--keep] [--list | --table] [NAME…]

Each row starts environment/environment.c, which loses 99 bytes while its environment fails it.  It
must leave a report or one true line, and the status is the program's own, or 23 where the leak is
said.  `--list` prints the rows, `--table` the table of them that README.md shows.  Prints `N passed,
N failed, N skipped`.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
LEAK_STATUS = 23
OWN = {"return": 3, "exit": 3, "_exit": 3, "term": 128 + signal.SIGTERM, "kill": 128 + signal.SIGKILL,
       "abort": 128 + signal.SIGABRT, "become": 5, "daemon": 0, "last_thread": 0}
NOT_POSSIBLE = 77
SECONDS_EACH = 20
LATE_SECONDS = 5  # for the report of a process that outlives its parent

RESOURCES = {
    "none": "nothing",
    "files_closed": "every descriptor above 2 is closed (`close_range`)",
    "all_closed": "every descriptor is",
    "files_used": "`RLIMIT_NOFILE` 256, all in use",
    "nofile_0": "`RLIMIT_NOFILE` 0",
    "nofile_16": "`RLIMIT_NOFILE` 16",
    "fsize_0": "`RLIMIT_FSIZE` 0",
    "as_1m": "`RLIMIT_AS` 1 MiB, less than is in use",
    "as_64m": "`RLIMIT_AS` 64 MiB",
    "data_0": "`RLIMIT_DATA` 0",
    "stack_64k": "`RLIMIT_STACK` 64 KiB",
    "mappings_used": "no further mapping (`vm.max_map_count`)",
    "nproc_0": "`RLIMIT_NPROC` 0, as another user",
    "sigpending_0": "`RLIMIT_SIGPENDING` 0, with a second thread",
    "tmp_full": "TMPDIR, /tmp, /var/tmp and /dev/shm are full",
    "tmp_readonly": "TMPDIR is mounted read-only",
    "tmp_private": "TMPDIR is another one (mount namespace)",
    "tmp_missing": "TMPDIR names no folder",
    "tmp_unset": "there is no TMPDIR",
    "tmp_emptied": "everything in TMPDIR is removed",
    "variables_cleared": "`clearenv`",
    "cwd_gone": "the current folder is removed",
    "cwd_readonly": "the current folder is /proc",
    "chroot": "`chroot` into an empty folder",
    "setuid": "another user and group",
    "chroot_setuid": "both",
    "other_root": "`chroot` into a tree with another /tmp, /dev/shm and TMPDIR",
    "other_root_setuid": "the same, and another user",
    "no_proc": "/proc is empty (mount namespace)",
    "umask_777": "`umask(0777)`",
    "not_dumpable": "`PR_SET_DUMPABLE` 0",
    "signals_blocked": "every signal is blocked",
    "sigchld_ignored": "SIGCHLD is ignored",
    "stdin_closed": "descriptor 0 is closed",
    "stdout_closed": "descriptor 1 is",
    "stderr_closed": "descriptor 2 is",
    "streams_closed": "0, 1 and 2 are",
    "stderr_null": "2 is /dev/null",
    "stderr_full": "2 is /dev/full",
    "stderr_log": "2 is a log",
    "stderr_data": "2 is a file that is read, too",
    "stderr_broken": "2 is a pipe that nobody reads",
    "no_open": "seccomp: EPERM for open and openat",
    "no_processes": "seccomp: EPERM for fork, clone and exec",
    "no_memory_map": "seccomp: ENOMEM for mmap, mremap, brk",
    "no_signals": "seccomp: EPERM for tgkill, rt_sigaction, rt_sigprocmask",
    "no_reading": "seccomp: EPERM for process_vm_readv, pread, ioctl, mincore",
    "killed_by_open": "seccomp: open, openat, rename and unlink kill",
    "killed_by_clone": "seccomp: fork, clone and exec kill",
    "killed_by_most": "seccomp: all kill but what the program itself does",
    "errno_of_most": "seccomp: EPERM for all that",
    "pid_1": "it is process 1 of a namespace",
    "launcher_killed": "the launcher is killed",
}

# resources, moments, endings, ways, what is left at least.  Every combination of a line is a row.
#
# Moments: environment.c has them.
# Ways: `run` is coroner run, `json` the same with a report in a file, `preload` is plain.
# Left:  `report`  the leak is reported
#        `kept`    a recording is kept that has it; a line says where, unless nobody would read it
#        `line`    a line says why there is no verdict
#        `other`   another program has taken its place, whose status and report count
TABLE = [
    ("none", "main", "return exit _exit term last_thread", "run json preload", "report"),
    ("none", "main", "daemon", "json preload", "report"),
    ("none", "main", "kill abort", "run json", "line"),
    ("none", "main", "become", "json", "other"),
    ("none", "exec", "return _exit term", "json preload", "report"),

    ("files_closed", "main end teardown exec", "return", "json preload", "report"),
    ("files_closed", "end", "_exit term", "json preload", "report"),
    ("all_closed", "end teardown", "return", "run json", "report"),
    ("all_closed", "end", "return", "preload", "kept"),
    ("files_used", "main end teardown", "return", "json", "report"),
    ("files_used", "main end teardown", "return", "preload", "line"),
    ("nofile_0", "main end teardown", "return _exit term", "json", "report"),
    ("nofile_0", "main end teardown", "return", "preload", "line"),
    ("nofile_16", "start", "return", "json preload", "report"),
    ("fsize_0", "start main end exec", "return", "run preload", "report"),
    ("fsize_0", "end", "_exit term", "json preload", "report"),
    ("as_1m", "main end teardown", "return", "json", "report"),
    ("as_1m", "main end teardown", "return", "preload", "kept"),
    ("as_1m", "end", "_exit term", "json", "report"),
    ("as_64m", "start", "return", "preload", "report"),
    ("data_0", "main end", "return", "json", "report"),
    ("data_0", "main end", "return", "preload", "kept"),
    ("stack_64k", "start main end exec", "return", "json preload", "report"),
    ("mappings_used", "main end", "return", "json preload", "report"),
    ("nproc_0", "end", "return", "json", "report"),
    ("nproc_0", "end", "return", "preload", "kept"),
    ("sigpending_0", "main", "return _exit", "json preload", "report"),

    ("tmp_full", "start main end", "return", "json preload", "report"),
    ("tmp_readonly", "start main end", "return", "json preload", "report"),
    ("tmp_private", "main end", "return", "json preload", "report"),
    ("tmp_missing tmp_unset", "start main exec", "return", "json preload", "report"),
    ("tmp_emptied", "main end", "return", "json preload", "report"),
    ("variables_cleared", "main end", "return", "json preload", "report"),
    ("cwd_gone cwd_readonly", "main end exec", "return", "json preload", "report"),
    ("chroot", "main end teardown", "return", "json", "report"),
    ("chroot", "main end teardown", "return", "preload", "kept"),
    ("chroot", "end", "_exit term", "json", "report"),
    ("setuid", "main end", "return _exit", "json preload", "report"),
    ("setuid", "exec", "return _exit term", "run json", "report"),
    ("setuid", "exec", "return", "preload", "report"),
    ("other_root other_root_setuid", "exec", "return", "json", "report"),
    ("tmp_private", "exec", "return", "json", "report"),
    ("chroot_setuid", "main end", "return", "json", "report"),
    ("chroot_setuid", "main end", "return", "preload", "line"),
    ("setuid", "main", "daemon", "json", "report"),
    ("no_proc", "main end", "return", "json preload", "report"),
    ("no_proc", "exec", "return", "json preload", "line"),
    ("umask_777", "start main end", "return", "json preload", "report"),
    ("not_dumpable", "main end", "return", "json preload", "report"),
    ("pid_1", "start", "return", "json preload", "report"),
    ("signals_blocked sigchld_ignored", "start main end exec", "return", "json preload", "report"),

    ("stdin_closed stdout_closed", "start main end", "return", "run preload", "report"),
    ("stderr_closed", "start main end teardown", "return", "json", "report"),
    ("stderr_closed", "start main end", "return _exit", "preload", "kept"),
    ("streams_closed", "start", "return", "json", "report"),
    ("streams_closed", "start end", "return", "preload", "kept"),
    ("stderr_null", "main end", "return", "preload", "kept"),
    ("stderr_full stderr_broken", "start main end", "return", "preload", "kept"),
    ("stderr_log", "main end", "return", "preload", "report"),
    ("stderr_data", "main", "return", "preload", "kept"),

    ("no_open no_reading no_signals", "main end", "return", "json", "report"),
    ("no_open", "main end", "return", "preload", "line"),
    ("no_reading", "main end", "return", "preload", "kept"),
    ("no_signals", "main end", "return", "preload", "report"),
    ("no_open", "end", "_exit term", "json", "report"),
    ("no_processes killed_by_clone", "main end", "return", "json", "report"),
    ("no_processes killed_by_clone", "main end", "return", "preload", "kept"),
    ("no_memory_map", "end", "return", "json", "report"),
    ("no_memory_map", "end", "return", "preload", "kept"),
    ("killed_by_open", "main end", "return _exit", "json", "report"),
    ("killed_by_open", "main end", "return", "preload", "line"),
    ("killed_by_most errno_of_most", "main end", "return _exit", "json preload", "line"),
    ("launcher_killed", "main", "return", "run", "kept"),
]
RANKS = ("nothing", "line", "kept", "report")


def table():
    """The table in Markdown, a line for each resource and what is left."""
    lines = ["| fails | which is | when | the end | way | left |", "| --- | --- | --- | --- | --- | --- |"]
    for resources, moments, endings, ways, left in TABLE:
        for resource in resources.split():
            cells = [f"`{resource}`", RESOURCES[resource],
                     *(", ".join(words.split()) for words in (moments, endings, ways)), left]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


class Row:
    """One line of the table spelt out: one run."""

    def __init__(self, resource, moment, ending, way, left):
        self.resource, self.moment, self.ending, self.way, self.left = (
            resource, moment, ending, way, left)
        self.name = f"{resource} {moment} {ending} {way}"

    def command(self, program, build):
        """The command line; a fault from the start is made around all of it."""
        words = [program, "none" if self.moment == "start" else self.resource,
                 "main" if self.moment == "start" else self.moment, self.ending]
        before = [program, self.resource, "start"] if self.moment == "start" else ["/usr/bin/env"]
        if self.way == "preload":
            return before + [f"LD_PRELOAD={build / 'libcoroner.so'}"] + words
        options = ["--format=json", "--output=report.json"] if self.way == "json" else []
        return before + [str(build / "coroner"), "run"] + options + ["--"] + words


def rows():
    for resources, moments, endings, ways, left in TABLE:
        for resource in resources.split():
            for moment in moments.split():
                for ending in endings.split():
                    for way in ways.split():
                        yield Row(resource, moment, ending, way, left)


class Seen:
    """What a run left behind."""

    def __init__(self, row, build, directory):
        temporary, work = directory / "tmp", directory / "work"
        temporary.mkdir()
        work.mkdir()
        temporary.chmod(0o1777)
        work.chmod(0o777)
        self.row, self.build, self.places = row, build, (work, temporary, work / "jail")
        environment = {"PATH": f"{build}:/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(work),
                       "TMPDIR": str(temporary), "XDG_STATE_HOME": str(work / "state")}
        command = row.command(str(build / "tests/environment/environment"), build)
        process = subprocess.Popen(command, cwd=work, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   start_new_session=True)
        # A pipe: no limit of files holds for it, and whoever lives on keeps it open.
        try:
            errors = process.communicate(timeout=SECONDS_EACH)[1]
            self.status = process.returncode
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            errors = process.communicate()[1]
            self.status = None
        if self.status is not None and self.status < 0:
            self.status = 128 - self.status
        log = work / "log"
        self.errors = errors.decode(errors="replace") + (
            log.read_text(errors="replace") if log.exists() else "")
        if row.ending == "daemon" or row.resource == "launcher_killed":
            deadline = time.monotonic() + LATE_SECONDS
            while time.monotonic() < deadline and not self.is_reported() and not self.kept():
                time.sleep(0.05)

    def processes(self):
        for path in sorted(self.places[0].glob("report.json*")):
            try:
                yield from json.loads(path.read_text(encoding="utf-8"))["processes"]
            except ValueError:
                pass  # it is being written

    def warnings(self):
        for path in sorted(self.places[0].glob("report.json*")):
            yield from json.loads(path.read_text(encoding="utf-8"))["warnings"]

    def lines(self):
        """What Coroner says outside of a report."""
        return [line for line in self.errors.splitlines() if line.startswith("coroner: ")]

    def is_reported(self):
        """Whether the leak is, and no other."""
        leaks = [(leak["blocks"], leak["bytes"]) for process in self.processes()
                 for leak in process["leaks"]]
        leaks += [(1, 99)] * len(re.findall(r"^#\d+  99 bytes in 1 block, lost", self.errors, re.M))
        return leaks == [(1, 99)]

    def kept(self):
        """The recordings that lie somewhere and have the leak."""
        found = []
        folders = [*self.places, self.places[0] / "state"]
        for path in {path for folder in folders for path in folder.rglob("*.crn*")}:
            command = [self.build / "coroner", "report", "--format=json", path]
            report = subprocess.run(command, capture_output=True, check=False,
                                    stdin=subprocess.DEVNULL, timeout=SECONDS_EACH)
            try:
                processes = json.loads(report.stdout)["processes"]
            except ValueError:
                continue
            if any(leak["bytes"] == 99 for process in processes for leak in process["leaks"]):
                found.append(path)
        return found


def statuses(row, is_known):
    """What the command line may end with, where its leak is known, or is not."""
    own = 3 if row.moment == "exec" else OWN[row.ending]
    if row.ending == "daemon":
        return (own,) if row.way == "preload" else (own, LEAK_STATUS)
    if row.resource == "launcher_killed":
        return (128 + signal.SIGKILL,)
    if row.moment == "exec" and row.way == "preload" or not is_known:
        return (own,)
    return (LEAK_STATUS,)


def is_found(seen):
    """Whether a line says that there was a verdict, which nothing could take down."""
    return any(line.endswith("there is no report") for line in seen.lines())


def is_explained(seen):
    """Whether anything says that there is no verdict, and why."""
    words = [line for line in seen.lines() if "no leaks" not in line]
    return bool(words or list(seen.warnings()))


def problems(seen):
    """Answers one sentence for each thing that is not so."""
    row, kept = seen.row, seen.kept()
    left = ("report" if seen.is_reported() else "kept" if kept else
            "line" if is_explained(seen) else "nothing")
    wanted = "nothing" if row.left == "other" else row.left
    if seen.status is None:
        yield "it did not end"
    else:
        right = statuses(row, left in ("report", "kept"))
        right += (LEAK_STATUS,) if left == "line" and is_found(seen) else ()
        if seen.status not in right:
            yield f"status {seen.status}, not {right}"
    if RANKS.index(left) < RANKS.index(wanted):
        yield f"it left {left}, not {wanted}"
    if left != "report" and any("no leaks" in line for line in seen.lines()) and row.ending not in (
            "become", "daemon") and row.moment != "exec":
        yield "it says that there are no leaks"
    for path in re.findall(r"(\S+\.crn\S*)", seen.errors):
        path = pathlib.Path(path.rstrip(".,;"))
        if not any((place / path).exists() for place in seen.places):
            yield f"{path} is named, and not there"
    if left == "kept" and not str(kept[0].name) in seen.errors and not is_unheard(row):
        yield f"nothing says where {kept[0].name} is"


def is_unheard(row):
    """Whether nobody would read a line."""
    return row.resource in ("all_closed", "streams_closed", "stderr_closed", "stderr_null",
                            "stderr_full", "stderr_broken", "stderr_data", "launcher_killed")


def judge(row, build, keep):
    """Answers ("passed" | "failed" | "skipped", lines to print)."""
    parent = build / "tests" / "environment" / "runs"
    parent.mkdir(exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(dir=parent))
    directory.chmod(0o755)
    try:
        seen = Seen(row, build, directory)
        if seen.status == NOT_POSSIBLE or "environment: " in seen.errors:
            reason = re.search(r"environment: (.*)", seen.errors)
            return "skipped", [f"skipped {row.name}: {reason[1] if reason else 'not here'}"]
        wrong = list(problems(seen))
        if wrong and seen.lines():
            wrong.append(f"it said: {seen.lines()[-1][:200]}")
        if wrong and list(seen.warnings()):
            wrong.append(f"the report warned: {list(seen.warnings())[0][:200]}")
        return "failed" if wrong else "passed", [f"FAILED {row.name}: {line}" for line in wrong]
    finally:
        if keep:
            print(f"kept {row.name}: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--jobs", default=2, type=int)
    parser.add_argument("--list", action="store_true", help="print the rows, run none")
    parser.add_argument("--table", action="store_true", help="print the table, run none")
    parser.add_argument("--keep", action="store_true", help="keep what each run left")
    parser.add_argument("patterns", nargs="*", metavar="NAME", help="regular expressions on rows")
    options = parser.parse_args()
    chosen = [row for row in rows() if not options.patterns or
              any(re.search(pattern, row.name) for pattern in options.patterns)]
    if options.table:
        print(table())
        return 0
    if options.list:
        print("\n".join(f"{row.name}: {row.left}" for row in chosen))
        return 0
    build = options.build.resolve()
    tally = {"passed": 0, "failed": 0, "skipped": 0}
    if not options.patterns:
        is_shown = table() in (TOP / "tests/README.md").read_text(encoding="utf-8")
        tally["passed" if is_shown else "failed"] += 1
        if not is_shown:
            print("FAILED README.md: it shows another table than `environment.py --table`")
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict, lines in pool.map(lambda row: judge(row, build, options.keep), chosen):
            tally[verdict] += 1
            for line in lines:
                print(line, flush=True)
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
