#!/usr/bin/python3
"""Runs existing programs with and without Coroner and compares what they did.

    transparency.py [--build DIR] [--lost FILE] [--control] [--keep] [NAME…]

Each program (transparency_programs.py) runs twice in a directory of the same path.  Three facts each:

    same     standard output, standard error, exit status and the files written are equal
    report   every report keeps the contract (check_schema.py), and no process went unchecked
    dead     no block is called stale, completed or abandoned

Blocks called lost are listed in the file that --lost names, so that each can be explained.  With
--control the second run is plain too: what differs then is the program's own doing.  The last line
is `N passed, N failed, N skipped`; a program that is not installed is skipped with a reason.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import check_schema
import transparency_programs

TOP = pathlib.Path(__file__).resolve().parent.parent
SECONDS_EACH = 120


class Session:
    """One run of a program: where it works, how it is started, and what it did.

    A program's steps call run() for what is compared and help() for what only sets the stage.
    """

    def __init__(self, directory, reports, coroner, ports):
        self.directory, self.reports, self.coroner, self.ports = directory, reports, coroner, ports
        self.transcript = []
        self.environment = {"HOME": str(directory), "LC_ALL": "C.UTF-8", "TZ": "UTC",
                            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "TERM": "dumb"}
        self.servers = []

    def write(self, name, text):
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def command(self, argv):
        if self.coroner is None:
            return argv
        report = self.reports / f"{len(self.transcript) + len(self.servers)}.json"
        return [self.coroner, "run", "--format=json", "--error-exitcode=0", f"--output={report}",
                "--", *argv]

    def spawn(self, argv):
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        process = subprocess.Popen(argv, cwd=self.directory, env=self.environment, stdout=out,
                                   stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
        return process, out, err

    def finish(self, argv, process, out, err, unlike, seconds=SECONDS_EACH):
        """Waits for a process and notes what it did; `unlike` is a pattern of what may differ."""
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            status = f"not over after {seconds} s"
        texts = []
        for file in (out, err):
            file.seek(0)
            text = file.read().decode(errors="replace")
            texts.append(re.sub(unlike, "…", text) if unlike else text)
        if isinstance(status, int) and status < 0:
            status = 128 - status
        self.transcript.append((" ".join(argv), status, *texts))

    def run(self, *argv, unlike=None):
        """Runs a command under observation."""
        self.finish(argv, *self.spawn(self.command(list(argv))), unlike)

    def start(self, *argv):
        """Starts a server under observation; stop() takes the answer."""
        server = (argv, *self.spawn(self.command(list(argv))))
        self.servers.append(server)
        return server

    def stop(self, server, unlike=None):
        """Waits for a server that was asked to end."""
        self.servers.remove(server)
        self.finish(*server, unlike)

    def help(self, *argv, seconds=60):
        """Runs a command beside the show; answers its standard output."""
        done = subprocess.run(argv, cwd=self.directory, env=self.environment, timeout=seconds,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        return done.stdout.decode(errors="replace")

    def note(self, what, value):
        """Adds something that must be equal with and without Coroner."""
        self.transcript.append((what, value, "", ""))

    def port(self):
        """A free port of the loopback interface, the same in both runs."""
        if not self.ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self.ports.append(probe.getsockname()[1])
        return self.ports[0]

    def wait_for_port(self, seconds=60):
        """Waits until a server listens on port()."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port())) == 0:
                    return
            time.sleep(0.05)
        self.note("the server", f"was not listening after {seconds} s")

    def end_servers(self):
        for _, process, *_ in self.servers:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


def files_of(directory, ignored):
    """Answers {path: mode and digest} of all files below a directory."""
    seen = {}
    for path in sorted(directory.rglob("*")):
        name = str(path.relative_to(directory))
        if ignored and re.search(ignored, name) or path.is_dir():
            continue
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
        seen[name] = f"{path.lstat().st_mode:o} {hashlib.sha256(content).hexdigest()}"
    return seen


def perform(program, root, reports, coroner, ports, kind=Session):
    """Runs a program once, in a session of some kind; answers its transcript and its files."""
    directory = root / "work"
    directory.mkdir()
    session = kind(directory, reports, coroner, ports)
    try:
        program.steps(session)
    except (OSError, subprocess.SubprocessError) as error:
        session.note("the steps ended early", str(error))
    finally:
        session.end_servers()
    files = files_of(directory, program.ignored_files)
    directory.rename(root / ("coroner" if coroner else f"plain{len(list(root.glob('plain*')))}"))
    return session.transcript, files


def shorten(text):
    return repr(text if len(text) < 300 else f"{text[:150]} … {text[-150:]}")


def differences(plain, other):
    """Says how two runs differ."""
    for (command, *before), (_, *after) in zip(plain[0], other[0]):
        for what, one, two in zip(("exit status", "stdout", "stderr"), before, after):
            if one != two:
                if isinstance(one, str) and isinstance(two, str):
                    lines = [pair for pair in zip(one.splitlines(), two.splitlines())
                             if pair[0] != pair[1]]
                    one, two = lines[0] if lines else (one[len(two):], two[len(one):])
                    one, two = shorten(one), shorten(two)
                yield f"{command[:90]}: {what} was {one}, is {two}"
    if len(plain[0]) != len(other[0]):
        yield f"it took {len(plain[0])} steps, now {len(other[0])}"
    for name in sorted({*plain[1], *other[1]}):
        if plain[1].get(name) != other[1].get(name):
            yield f"file {name}: was {plain[1].get(name)}, is {other[1].get(name)}"


def read_reports(directory):
    """Answers the reports in a directory, and a sentence for each that is no JSON."""
    reports, broken = [], []
    for path in sorted(directory.iterdir()):
        try:
            reports.append(json.loads(path.read_text(encoding="utf-8")))
        except ValueError as error:
            broken.append(f"{path.name} is no JSON: {error}")
    return reports, broken


def leaks_of(reports, classes):
    for report in reports:
        for process in report.get("processes", []):
            for leak in process["leaks"]:
                if leak["class"] in classes:
                    yield process, leak


def stack_in_words(leak):
    names = [frame["function"] or frame["module"] or "?" for frame in leak["alloc_stack"] or []]
    return " < ".join(names[:6])


def list_lost(name, reports, file):
    """Lists what is called lost: blocks, bytes, the program, where allocated; biggest first."""
    groups = collections.Counter()
    blocks = collections.Counter()
    for process, leak in leaks_of(reports, ("lost",)):
        key = (os.path.basename(process["exe"] or "?"), stack_in_words(leak))
        groups[key] += leak["bytes"] + leak["indirect_bytes"]
        blocks[key] += leak["blocks"] + leak["indirect_blocks"]
    print(f"{name}: {sum(blocks.values())} blocks, {sum(groups.values())} bytes", file=file)
    for key, total in groups.most_common():
        print(f"    {blocks[key]:6} blocks {total:9} bytes  {key[0]}: {key[1]}", file=file)
    file.flush()


def unchecked(program, reports):
    """Says which processes ended by themselves without a check, or are missing altogether."""
    processes = [process for report in reports for process in report["processes"]]
    for process in processes:
        if process["summary"] is None and process["exit"]["code"] is not None:
            yield f"{process['exe']} (pid {process['pid']}) was not checked"
    if len(processes) < program.least_processes:
        yield f"{len(processes)} processes were seen, of at least {program.least_processes}"


def facts(program, plain, other, reports_directory):
    """Answers ({fact: sentences that break it}, reports)."""
    reports, broken = read_reports(reports_directory)
    broken += [sentence for report in reports for sentence in check_schema.check(report)]
    if not reports:
        broken.append("there is no report")
    if not broken:
        broken += unchecked(program, reports)
    dead = []
    if not broken:
        dead = [f"{leak['class']}: {leak['blocks']} blocks, {leak['bytes']} bytes in "
                f"{process['exe']}: {stack_in_words(leak)}"
                for process, leak in leaks_of(reports, ("stale", "completed", "abandoned"))]
    else:
        dead.append("unknown without a report")
        reports = []
    return {"same": list(differences(plain, other)), "report": broken, "dead": dead}, reports


def main():
    parser = argparse.ArgumentParser(description="Runs programs with and without Coroner.")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("--lost", type=pathlib.Path, default=None)
    parser.add_argument("--control", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the directories and reports")
    options = parser.parse_args()
    coroner = None if options.control else str(options.build.resolve() / "coroner")
    lost = open(options.lost or os.devnull, "w", encoding="utf-8")
    tally = collections.Counter()
    print("program      same     report   dead     processes  seconds (plain, coroner)")
    for program in transparency_programs.PROGRAMS:
        if options.names and program.name not in options.names:
            continue
        missing = [name for name in program.needs
                   if shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin") is None]
        if missing:
            print(f"{program.name:<12} skipped: {', '.join(missing)} is not installed")
            tally["skipped"] += 1
            continue
        root = pathlib.Path(tempfile.mkdtemp(prefix="coroner-transparency-"))
        root.chmod(0o755)
        reports_directory = root / "reports"
        reports_directory.mkdir()
        ports = []
        began = time.monotonic()
        plain = perform(program, root, reports_directory, None, ports)
        between = time.monotonic()
        other = perform(program, root, reports_directory, coroner, ports)
        ended = time.monotonic()
        told, reports = facts(program, plain, other, reports_directory)
        if options.control:
            told = {"same": told["same"]}
        verdicts = {fact: "FAILED" if sentences else "passed" for fact, sentences in told.items()}
        tally.update(verdicts.values())
        processes = sum(len(report["processes"]) for report in reports)
        print(f"{program.name:<12} " + " ".join(f"{verdict:<8}" for verdict in verdicts.values())
              + f" {processes:>9}  {between - began:.1f}, {ended - between:.1f}", flush=True)
        for fact, sentences in told.items():
            for sentence in sentences[:8]:
                print(f"    FAILED {program.name}/{fact}: {sentence}")
        list_lost(program.name, reports, lost)
        if options.keep:
            print(f"    kept in {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{tally['passed']} passed, {tally['FAILED']} failed, {tally['skipped']} skipped")
    return 1 if tally["FAILED"] or not tally["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
