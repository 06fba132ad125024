#!/usr/bin/python3
"""Servers under load for an hour: what Coroner adds to their memory does not grow.

    servers.py [--build DIR] [--seconds N] [--rate N] [--ask N] [SERVER…]

redis-server under redis-benchmark, and servers/server.c with a thread and with a coroutine for each
connection, one after the other for their share of N seconds, each under `coroner run`.  Twenty
times the memory of the process is read from its smaps:

    heap    what lies in the region of Coroner's window that holds the program's blocks
    tables  the rest of the window: records, stacks, pages of the index (runtime/base/vm.h)
    added   all of the process that is resident, less the heap

The first third is warm-up.  A server passes when neither `added` nor `tables` grows over the rest
by more than 1 MiB, and 2 % of itself, as the median of the slopes between any two samples has it
(Theil and Sen); when it ends as without Coroner; and when its report is there.

With --ask the server is checked from outside (`coroner check`) every N seconds: no answer is missing,
none calls anything proven leaked, and nothing that one called so comes back to life in the next.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

TOP = pathlib.Path(__file__).resolve().parent.parent
TIB = 1 << 40
WINDOW = range(17 * TIB, 18 * TIB)  # where the window may begin, as in runtime/base/vm.c
REGION_BYTES, OWN_END = TIB, 3 * TIB  # from the window's start
REGION_FIRST = (2 << 20) - 4096  # the region's first page
SAMPLES = 20
# Before the first sample: each of server.c's 4,096 names once, and so many coroutines that the
# records of ended ones are used again (coro/coro.c lets 4,096 rest).
CONNECTIONS = 6000
KEYS = 2000
WARM_UP = 1 / 3
GROWTH_BYTES, GROWTH_PART = 1 << 20, 0.02
MIB = 1 << 20


def memory(pid):
    """The bytes of a process that are resident: (all, heap, tables)."""
    total = heap = tables = 0
    window = start = None
    with open(f"/proc/{pid}/smaps", encoding="ascii", errors="replace") as file:
        for line in file:
            header = re.match(r"([0-9a-f]+)-[0-9a-f]+ ", line)
            if header:
                start = int(header[1], 16)
                if window is None and start >= WINDOW.start:
                    window = start - REGION_FIRST if start < WINDOW.stop else 0
            elif line.startswith("Rss:"):
                resident = int(line.split()[1]) << 10
                total += resident
                if window and window <= start < window + OWN_END:
                    if start < window + REGION_BYTES:
                        heap += resident
                    else:
                        tables += resident
    return total, heap, tables


def growth(samples):
    """How much a series of (time, bytes) grows from its first to its last."""
    slopes = [(later[1] - sooner[1]) / (later[0] - sooner[0])
              for index, sooner in enumerate(samples) for later in samples[index + 1:]]
    return statistics.median(slopes) * (samples[-1][0] - samples[0][0])


class Clients:
    """Connections that come and go, from a few threads, at a rate of requests a second."""

    def __init__(self, port, rate):
        self.port, self.rate, self.is_over, self.requests = port, rate, False, 0
        self.threads = [threading.Thread(target=self.run, args=(number,)) for number in range(4)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        choice = random.Random(number)
        while not self.is_over:
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                reader = connection.makefile("rb")
                for _ in range(choice.randrange(1, 60)):
                    connection.sendall(b"%d %d\n" % (choice.randrange(4096),
                                                     choice.randrange(1, 1 << 32)))
                    reader.readline()
                    self.requests += 1
                    time.sleep(len(self.threads) / self.rate)

    def stop(self):
        self.is_over = True
        for thread in self.threads:
            thread.join()
        return self.requests


class Own:
    """servers/server.c."""

    def __init__(self, build, kind, rate):
        self.command = [str(build / "tests/servers/server"), kind]
        self.rate = rate
        self.port = self.clients = None

    def begin(self, process):
        self.port = int(process.stdout.readline())
        for name in range(CONNECTIONS):
            with socket.create_connection(("127.0.0.1", self.port)) as connection:
                connection.sendall(b"%d %d\n" % (name, name + 1))
                connection.recv(1)
        self.clients = Clients(self.port, self.rate)

    def end(self):
        requests = self.clients.stop()
        with socket.create_connection(("127.0.0.1", self.port)) as connection:
            connection.sendall(b"quit\n")
            connection.recv(1)
        try:
            socket.create_connection(("127.0.0.1", self.port)).close()  # one that waits in accept
        except OSError:
            pass
        return requests


class Redis:
    """redis-server under redis-benchmark, with a bounded set of keys."""

    def __init__(self, _build, _kind, rate):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
                        "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]
        self.rate, self.is_over, self.requests = rate, False, 0
        self.thread = threading.Thread(target=self.load)

    def begin(self, _process):
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                time.sleep(0.05)
        self.benchmark(20 * KEYS)
        self.thread.start()

    def benchmark(self, requests):
        """So many requests of each command."""
        subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(self.port), "-q", "-c", "8",
                        "-P", "4", "-n", str(requests), "-r", str(KEYS), "-d", "100", "-t",
                        "set,get,incr,lpush,lpop,sadd,hset,spop"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "ltrim", "mylist", "0",
                        "999"], stdout=subprocess.DEVNULL, check=True)

    def load(self):
        """Bursts of a second's requests, then rest."""
        while not self.is_over:
            began = time.monotonic()
            self.benchmark(self.rate // 8)
            self.requests += self.rate // 8 * 8
            time.sleep(max(0, 1 - (time.monotonic() - began)))

    def end(self):
        self.is_over = True
        self.thread.join()
        subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "shutdown", "nosave"],
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        return self.requests


SERVERS = {"redis": Redis, "threads": Own, "coroutines": Own}


class Asker:
    """Has a server checked from outside, again and again."""

    def __init__(self, build, pid, every, directory):
        self.build, self.pid, self.every, self.directory = build, pid, every, directory
        self.is_over, self.problems, self.pauses = False, [], []
        self.thread = threading.Thread(target=self.run)
        if every > 0:
            self.thread.start()

    def run(self):
        environment = {**os.environ, "XDG_STATE_HOME": str(self.directory)}
        path = self.directory / "asked.json"
        while not self.is_over:
            began = time.monotonic()
            path.unlink(missing_ok=True)
            result = subprocess.run([self.build / "coroner", "check", "-f", "json", "-o", path,
                                     str(self.pid)], capture_output=True, text=True, timeout=120,
                                    env=environment, check=False)
            if result.returncode != 0:
                self.problems.append(f"a check ended with {result.returncode}: {result.stderr.strip()}")
            if path.exists():
                report = json.loads(path.read_text(encoding="utf-8"))
                self.pauses.append(report["processes"][0]["summary"]["check_pause_s"])
                self.problems += [line for line in report["warnings"] if "Coroner was wrong" in line]
            while not self.is_over and time.monotonic() - began < self.every:
                time.sleep(0.1)

    def end(self):
        """Answers what was wrong."""
        self.is_over = True
        if self.every > 0:
            self.thread.join()
        if self.pauses:
            print(f"    asked {len(self.pauses)} times: paused {statistics.median(self.pauses) * 1e3:.1f} "
                  f"ms, at most {max(self.pauses) * 1e3:.1f} ms")
        return self.problems[:5]


def child_of(pid):
    """The program that `coroner run` started, once there is one."""
    while True:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)


def soak(name, build, seconds, rate, directory, ask):
    """Runs one server; answers (samples of (time, added, heap, tables), requests, problems)."""
    server = SERVERS[name](build, name, rate)
    environment = {**os.environ, "PATH": f"{build}:{os.environ['PATH']}"}
    report = directory / f"{name}.json"
    launcher = subprocess.Popen(["coroner", "run", "--format=json", f"--output={report}", "--",
                                 *server.command], cwd=directory, env=environment,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    samples, wrong = [], []
    try:
        server.begin(launcher)
        pid, began = child_of(launcher.pid), time.monotonic()
        asker = Asker(build, pid, ask, directory)
        for number in range(1, SAMPLES + 1):
            time.sleep(max(0, began + seconds * number / SAMPLES - time.monotonic()))
            total, heap, tables = memory(pid)
            samples.append((time.monotonic() - began, total - heap, heap, tables))
        wrong += asker.end()
        requests = server.end()
        status = launcher.wait(60)
    finally:
        if launcher.poll() is None:
            launcher.send_signal(signal.SIGTERM)
            launcher.wait()
    process = json.loads(report.read_text(encoding="utf-8"))["processes"][0]
    if process["summary"] is None:
        wrong.append("it was not checked")
    elif (status, process["exit"]["code"]) != (0, 0):
        wrong.append(f"status {status}, {process['summary']['leaked_blocks']} blocks leaked")
    return samples, requests, wrong


def show(name, samples, requests):
    """Prints the samples; answers a sentence for each series that grows."""
    steady = samples[int(len(samples) * WARM_UP):]
    print(f"{name}: {requests} requests; MiB added/tables, heap, at each sample:")
    print("    " + "  ".join(f"{added / MIB:.2f}/{tables / MIB:.2f},{heap / MIB:.1f}"
                             for _, added, heap, tables in samples))
    for column, word in ((1, "added"), (3, "tables")):
        grown = growth([(sample[0], sample[column]) for sample in steady])
        seconds = steady[-1][0] - steady[0][0]
        print(f"    {word}: {steady[0][column] / MIB:.2f} MiB, {grown / 1024:+.0f} KiB "
              f"in the last {seconds:.0f} s")
        if grown > max(GROWTH_BYTES, GROWTH_PART * steady[0][column]):
            yield f"{word} grew by {grown / MIB:.1f} MiB in {seconds:.0f} s"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--seconds", default=3600, type=float, help="of all servers together")
    parser.add_argument("--rate", default=2000, type=int, help="requests a second")
    parser.add_argument("--ask", default=0, type=float, help="seconds between checks; 0: none")
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=" ".join(SERVERS))
    options = parser.parse_args()
    chosen = options.servers or list(SERVERS)
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory(prefix="servers.") as directory:
        for name in chosen:
            if name == "redis" and shutil.which("redis-server") is None:
                print("skipped redis: it is not installed")
                skipped += 1
                continue
            samples, requests, wrong = soak(name, options.build.resolve(),
                                            options.seconds / len(chosen), options.rate,
                                            pathlib.Path(directory), options.ask)
            wrong += list(show(name, samples, requests))
            for line in wrong:
                print(f"FAILED {name}: {line}", flush=True)
            passed += not wrong
            failed += bool(wrong)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
