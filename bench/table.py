#!/usr/bin/python3
"""What Coroner costs whole programs: every workload under every version, and tables of ratios.

usage: table.py BUILD [--rounds N] [--only REGEX] [--versions A,B,…] [--json FILE]

A round runs A B C D A B C D …, never A A A B B B, so that what else the machine does strikes all
alike; round 0 is the warm-up and does not count.  Every version must print what the plain program
prints and end as it does.  README.md says what each figure means.
"""
import argparse
import contextlib
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import figures

HERE = pathlib.Path(__file__).resolve().parent / "workloads"

# Workloads: name, how to run it, and whether it counts for the means.  The argument of a program
# of our own and what {percent} stands for below is how much of the work to do.
WORKLOADS = (
    ("churn5", "own churn5", True),
    ("tree", "own tree", True),
    ("sqlite3", "sqlite3", True),
    ("treap", "own treap", True),
    ("threads4", "own threads4 4", True),
    ("threads1", "own threads4 1", False),  # the same work, to see what threads cost
    ("coro10k", "own coro10k", True),
    ("cc1plus", "cc1plus", True),
    ("python3", "python3", True),
    ("realloc", "own realloc", True),
    ("redis", "redis", True),
    ("qemu-img", "qemu_img", True),
)

# Versions: name, rounds at most, percent of the work, and what a program is started with.
# Coroner's start as `coroner run` starts a program, and leave the recording to who started it.
VERSIONS = (
    ("glibc", 99, 100, ""),
    ("jemalloc", 99, 100, "LD_PRELOAD={jemalloc}"),
    ("off", 99, 100, "LD_PRELOAD={shim} CORONER_SESSION={session} CORONER_OPTIONS=stacks=off"),
    ("sampled", 99, 100,
     "LD_PRELOAD={shim} CORONER_SESSION={session} CORONER_OPTIONS=stacks=sampled"),
    ("full", 99, 100, "LD_PRELOAD={shim} CORONER_SESSION={session} CORONER_OPTIONS=stacks=full"),
    ("heaptrack", 3, 100, "LD_PRELOAD={heaptrack} DUMP_HEAPTRACK_OUTPUT={pipe}"),
    ("lsan", 3, 100, "LSAN_OPTIONS=exitcode=0:log_path=/dev/null"),
    ("memcheck", 1, 40, "valgrind -q --leak-check=full --log-file=/dev/null"),
)

# Where that takes minutes: less of the work.  Ratios are to plain runs of the same work.
PERCENT = {("realloc", "lsan"): 2, ("cc1plus", "memcheck"): 100}

# The workload that the whole of `coroner run`, report and all, is measured with.
WHOLE = "sqlite3"

# What redis-benchmark asks for, each this often.
REDIS_TESTS = "set,get,incr,lpush,rpop,sadd,hset,zadd,lrange_100,mset"
REDIS_REQUESTS = 100000
QEMU_REQUESTS = 1500000
SQLITE_ROWS = 200000
LIMIT_S = 600  # for one run


class Broken(Exception):
    """A version does not do what the plain program does, or a workload cannot run at all."""


class Bench:
    """Where things are, and how a program is run."""

    def __init__(self, build, work):
        self.build, self.work = build, work
        self.measure = build / "bench/workloads/measure"
        self.names = {
            "shim": build / "libcoroner.so",
            "jemalloc": self.linked(build / "libcoroner.so", "libjemalloc"),
            "heaptrack": "/usr/lib/heaptrack/libheaptrack_preload.so",
            "session": work / "session",
            "pipe": work / "pipe",
        }
        self.cc1plus_words = None
        os.mkfifo(work / "pipe")

    @staticmethod
    def linked(path, name):
        """The library of that name that an ELF file is linked with."""
        said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
        return re.search(rf"{name}\S* => (\S+)", said)[1]

    def is_known(self, version):
        """Whether a version can be measured here."""
        if version == "heaptrack":
            return os.path.exists(self.names["heaptrack"])
        if version == "lsan":
            return (self.build / "bench/workloads/lsan").exists()
        if version == "memcheck":
            return shutil.which("valgrind") is not None
        if version in figures.CORONER:
            tried = subprocess.run([self.build / "coroner", "run", f"--stacks={version}", "true"],
                                   capture_output=True, check=False)
            return tried.returncode == 0
        return True

    # How to run each workload: settings and words, and its standard input.

    def own(self, version, percent, name, *arguments):
        folder = "lsan" if version == "lsan" else "."
        return [self.build / "bench/workloads" / folder / name, str(percent), *arguments], None

    def sqlite3(self, _, percent):
        rows = SQLITE_ROWS * percent // 100
        return ["sqlite3", "-cmd", ".parameter init", "-cmd", f".parameter set :rows {rows}",
                ":memory:"], HERE / "sqlite3.sql"

    def python3(self, _, percent):
        return ["PYTHONMALLOC=malloc", "PYTHONHASHSEED=0", "/usr/bin/python3", HERE / "script.py",
                str(percent)], None

    def cc1plus(self, *_):
        """As g++ would run it, but to standard output."""
        if self.cc1plus_words is None:
            words = ["g++", "-###", "-S", "-std=c++20", "-O1", HERE / "stl.cc", "-o-"]
            said = subprocess.run(words, capture_output=True, text=True, check=True).stderr
            self.cc1plus_words = next(shlex.split(line) for line in said.splitlines()
                                      if "/cc1plus " in line)
        return self.cc1plus_words, None

    def qemu_img(self, _, percent):
        """Reads of an image of 1 GiB of which 64 MiB are there."""
        image = self.work / "image.qcow2"
        if not image.exists():
            for words in (["create", "-f", "qcow2", image, "1G"],
                          ["bench", "-w", "-f", "qcow2", "-s", "65536", "-c", "1024", image]):
                subprocess.run(["qemu-img", *words], stdout=subprocess.DEVNULL, check=True)
        return ["qemu-img", "bench", "-f", "qcow2", "-d", "64", "-s", "2048", "-c",
                str(QEMU_REQUESTS * percent // 100), image], None

    def redis(self, _, percent):
        return ["redis-server", "--port", "0", "--unixsocket", self.work / "redis", "--save", "",
                "--appendonly", "no", "--daemonize", "no", "--dir", self.work], None

    def redis_drive(self, server, percent):
        """Asks the server, answers what its data then are, and ends it."""
        socket = str(self.work / "redis")

        def ask(*words):
            return subprocess.run(["redis-cli", "-s", socket, *words], capture_output=True,
                                  text=True, check=False).stdout
        deadline = time.monotonic() + 30
        while ask("ping") != "PONG\n":
            if server.poll() is not None or time.monotonic() > deadline:
                raise Broken("redis-server did not start")
            time.sleep(0.05)
        subprocess.run(["redis-benchmark", "-s", socket, "-q", "-c", "20", "-P", "16", "-r", "1000",
                        "-t", REDIS_TESTS, "-n", str(REDIS_REQUESTS * percent // 100)],
                       stdout=subprocess.DEVNULL, check=True, timeout=LIMIT_S)
        told = "".join(ask(*words) for words in (("dbsize",), ("llen", "mylist")))
        ask("shutdown", "nosave")
        return told.encode()

    def start(self, words, given, has_pipe, drive):
        """Runs a command to its end; `drive` asks of it what it is for, and its answer is ours."""
        others = []
        if has_pipe:
            others.append(subprocess.Popen(["cat", self.names["pipe"]], stdout=subprocess.DEVNULL))
        with open(given or os.devnull, "rb") as source, \
                open(self.work / "printed", "wb") as printed, \
                open(self.work / "said", "wb") as said:
            process = subprocess.Popen(words, stdin=source, stdout=printed, stderr=said,
                                       cwd=self.work, start_new_session=True)
        try:
            told = drive(process)
            for each in (process, *others):
                each.wait(timeout=LIMIT_S)
        except BaseException as why:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            for each in others:
                each.kill()
            if isinstance(why, subprocess.TimeoutExpired):
                raise Broken(f"{words[-1]} did not end within {LIMIT_S} s") from why
            raise
        if process.returncode != 0:
            raise Broken((self.work / "said").read_text(errors="replace"))
        return told

    def run(self, how, version, percent, prefix):
        """Runs a workload once; answers its figures, its output and its status."""
        kind, *rest = how.split()
        words, given = getattr(self, kind)(version, percent, *rest)
        started = [word.format(**self.names) for word in prefix.split()]
        settings = [word for word in (*started, *words) if re.match(r"[A-Z_]+=", str(word))]
        words = [word for word in (*started, *words) if word not in settings]
        shutil.rmtree(self.work / "session", ignore_errors=True)
        (self.work / "session").mkdir()
        told = self.start([self.measure, self.work / "used", *settings, *words], given,
                          version == "heaptrack",
                          lambda process: self.redis_drive(process, percent) if kind == "redis"
                          else None)
        user, system, kib, elapsed, status = (self.work / "used").read_text().split()
        return {"cpu_s": float(user) + float(system), "rss_kib": int(kib),
                "elapsed_s": float(elapsed)}, told or self.output_read(), int(status)

    def output_read(self):
        """What the program printed, without the times it may tell."""
        return re.sub(rb"completed in [0-9.]+ seconds", b"", (self.work / "printed").read_bytes())

    def recording_read(self):
        """The summary of what the last program under Coroner recorded."""
        recordings = sorted((self.work / "session").glob("*.crn"))
        if not recordings:
            raise Broken("Coroner left no recording")
        said = subprocess.run([self.build / "coroner", "report", "--format=json",
                               "--error-exitcode=0", *recordings], capture_output=True, check=True)
        summaries = [each["summary"] for each in json.loads(said.stdout)["processes"]]
        if None in summaries:
            raise Broken("Coroner did not check the program")
        return {key: sum(each[key] for each in summaries)
                for key in ("allocations", "check_s", "check_pause_s", "leaked_blocks")}


def progress(text):
    """One line that is written over, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


class Samples:
    """What was measured: for each workload and version a list of runs, and one report."""

    def __init__(self):
        self.runs, self.reports, self.expected = {}, {}, {}
        self.bases = {}  # which plain runs did the same work

    def take(self, bench, row, version, number):
        """Runs one version of a workload, and the plain program too where it does less work."""
        name, how, _ = row
        label, _, percent, prefix = version
        percent = PERCENT.get((name, label), percent)
        if label == "whole":
            prefix = prefix.format(coroner=bench.build / "coroner")
        if percent != 100:
            self.bases[name, label] = plain = f"glibc, {percent} %"
            self.keep(bench, (name, plain), bench.run(how, "glibc", percent, ""), percent, number)
        self.keep(bench, (name, label), bench.run(how, label, percent, prefix), percent, number)
        if label in figures.CORONER and number == 0:
            self.reports[name, label] = bench.recording_read()

    def keep(self, bench, key, result, percent, number):
        """Notes the figures of a run that printed what the first one of the same work did."""
        used, told, status = result
        name, label = key
        said = (bench.work / "said").read_text(errors="replace")
        if status != 0:
            raise Broken(f"{name} failed under {label} (wait status {status}):\n{said}")
        if told != self.expected.setdefault((name, percent), told):
            raise Broken(f"{name} prints something else under {label}:\n{said}")
        if number > 0:
            self.runs.setdefault(name, {}).setdefault(label, []).append(used)


def measure(bench, rows, versions, rounds):
    """All rounds; slow versions take part in the first ones only, and in no warm-up."""
    samples = Samples()
    for number in range(rounds + 1):
        for row in rows:
            row_versions = list(versions)
            if row[0] == WHOLE and any(label == "full" for label, *_ in versions):
                row_versions.append(("whole", 99, 100, "{coroner} run --error-exitcode=0 -o "
                                                       "/dev/null --"))
            for version in row_versions:
                label, most = version[:2]
                if (label == "lsan" and not row[1].startswith("own")) or number > most or \
                        (number == 0 and most < 99):
                    continue
                progress(f"round {number} of {rounds}: {row[0]} {label}")
                samples.take(bench, row, version, number)
    progress("")
    return samples


def main():
    parser = argparse.ArgumentParser(description="What Coroner costs whole programs.")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", metavar="REGEX", help="workloads")
    parser.add_argument("--versions", metavar="A,B,…", help="beside glibc",
                        default=",".join(label for label, *_ in VERSIONS))
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="every sample goes there")
    given = parser.parse_args()
    rows = [row for row in WORKLOADS if re.search(given.only, row[0])]
    wanted = {"glibc", *given.versions.split(",")}
    if unknown := wanted - {label for label, *_ in VERSIONS}:
        parser.error(f"no such version: {' '.join(sorted(unknown))}")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="coroner-bench-") as work:
        bench = Bench(given.build.resolve(), pathlib.Path(work))
        versions = [version for version in VERSIONS if version[0] in wanted]
        absent = [label for label, *_ in versions if not bench.is_known(label)]
        versions = [version for version in versions if version[0] not in absent]
        try:
            samples = measure(bench, rows, versions, given.rounds)
        except Broken as why:
            progress("")
            print(f"bench: {why}", file=sys.stderr)
            return 1
    labels = [label for label, *_ in versions]
    print(figures.tables(samples, rows, labels, WHOLE))
    if absent:
        print(f"Not measured, for it is not to be had here: {' '.join(absent)}.")
    print(figures.provenance(given.rounds, time.monotonic() - began))
    if given.json:
        given.json.write_text(json.dumps({"runs": samples.runs, "reports": {
            f"{name} {label}": each for (name, label), each in samples.reports.items()}}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
