#!/usr/bin/python3
"""What the clients of a server feel when it is checked from outside.

usage: served.py BUILD [--seconds N] [--every N] [--rounds N] [--connections N] [--rate N]
                 [--keys N] [SERVER…]

redis-server, and an asio server with a coroutine for each connection (served/sessions.cc), each
under `coroner run` and under load (served/load.c) for N seconds (600), in rounds: one without a check and
one with a check every N seconds (10), again and again (5 rounds of each).  Printed are, for both,
the requests, errors and wrong replies, and as medians of the rounds the latencies in us that half,
99 and 99.9 % of the requests did not pass; of the checks, the pause, the time to the answer, leaks
called proven, and blocks that came back to life.

--rate 0 asks as fast as the server answers: then the snapshot child takes a processor from it.
"""
import argparse
import collections
import json
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

LIMIT_S = 120
Row = collections.namedtuple("Row", "requests errors wrong half most nearly_all longest")


def redis():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return port, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                  "--appendonly", "no", "--daemonize", "no", "--loglevel", "warning"]


class Server:
    """A server under `coroner run`, with what its checks said."""

    def __init__(self, build, name, directory):
        self.build, self.directory = build, directory
        self.port, command = redis() if name == "redis" else (
            None, [build / "bench" / "served" / "sessions"])
        self.pauses, self.answers, self.proven, self.risen, self.missing = [], [], 0, 0, 0
        self.run = subprocess.Popen(
            [build / "coroner", "run", "--error-exitcode=0", "-o", directory / "end.txt", "--",
             *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = self.port or int(self.run.stdout.readline())
        self.connect()
        children = f"/proc/{self.run.pid}/task/{self.run.pid}/children"
        self.pid = pathlib.Path(children).read_text(encoding="ascii").split()[0]

    def connect(self):
        for _ in range(LIMIT_S * 20):
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
                return
            except OSError:
                time.sleep(0.05)
        sys.exit("served.py: the server does not answer")

    def check(self):
        path = self.directory / "check.json"
        path.unlink(missing_ok=True)
        began = time.monotonic()
        result = subprocess.run([self.build / "coroner", "check", "-f", "json", "-o", path, self.pid],
                                capture_output=True, text=True, timeout=LIMIT_S, check=False)
        if result.returncode not in (0, 23) or not path.exists():
            self.missing += 1
            print(f"check: {result.stderr.strip()}", file=sys.stderr)
            return
        self.answers.append(time.monotonic() - began)
        process = json.loads(path.read_text(encoding="utf-8"))["processes"][0]
        summary = process["summary"]
        self.pauses.append(summary["check_pause_s"] * 1000)
        self.proven += summary["leaked_blocks"] - summary["likely_blocks"]
        self.risen += (process["check"].get("last") or {}).get("risen_blocks", 0)

    def end(self):
        if "redis" in str(self.run.args):
            subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "shutdown", "nosave"],
                           capture_output=True, check=False)
        self.run.stdin.close()
        self.run.wait(LIMIT_S)


def load(build, server, arguments, seconds, every):
    """Loads it for so long, and checks it meanwhile; every is 0: it does not."""
    process = subprocess.Popen(
        [build / "bench" / "served" / "load", str(server.port), str(seconds),
         str(arguments.connections), str(arguments.keys), str(arguments.rate)],
        stdout=subprocess.PIPE, text=True)
    over = threading.Event()

    def check_on():
        while not over.wait(every):
            server.check()

    checker = threading.Thread(target=check_on)
    if every:
        checker.start()
    output = process.communicate(timeout=seconds + LIMIT_S)[0]
    over.set()
    if every:
        checker.join()
    return Row(*map(int, output.split()))


def report(name, rounds, server):
    for kind, rows in zip(("unasked", "checked"), rounds):
        medians = [statistics.median(values) for values in zip(*rows)]
        print(f"{name:10} {kind}  {sum(row.requests for row in rows):11} "
              f"{sum(row.errors for row in rows):6} {sum(row.wrong for row in rows):6} | "
              f"{medians[3]:7.0f} {medians[4]:7.0f} {medians[5]:7.0f} {max(row.longest for row in rows):8}")
    unasked, checked = (statistics.median(row.nearly_all for row in rows) for rows in rounds)
    print(f"{name:10} 99.9 %: {checked / unasked:.2f} times; {len(server.answers)} checks, {server.missing} "
          f"without an answer; pause {statistics.median(server.pauses):.1f} ms, at most "
          f"{max(server.pauses):.1f}; answer {statistics.median(server.answers):.2f} s; proven blocks "
          f"{server.proven}, risen {server.risen}", flush=True)


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].split("\n\n")[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("servers", nargs="*", metavar="SERVER")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--keys", type=int, default=200000)
    parser.add_argument("--rate", type=int, default=5000)
    arguments = parser.parse_args()
    build = arguments.build.resolve()
    names = arguments.servers or ["redis", "sessions"]
    if "redis" in names and shutil.which("redis-server") is None:
        sys.exit("served.py: redis-server is not installed; name another server")
    seconds = max(1, arguments.seconds // (2 * arguments.rounds))
    print(f"{'server':10} {'':8} {'requests':>11} {'errors':>6} {'wrong':>6} | {'50 %':>7} {'99 %':>7} "
          f"{'99.9 %':>7} {'longest':>8}   latency in us")
    for name in names:
        with tempfile.TemporaryDirectory() as directory:
            server = Server(build, name, pathlib.Path(directory))
            load(build, server, arguments, 2, 0)  # the keys are written
            rounds = ([], [])
            for _ in range(arguments.rounds):
                rounds[0].append(load(build, server, arguments, seconds, 0))
                rounds[1].append(load(build, server, arguments, seconds, arguments.every))
            server.end()
            report(name, rounds, server)


if __name__ == "__main__":
    main()
