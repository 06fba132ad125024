#!/usr/bin/python3
"""Asks running processes: coroner check, coroner dump.

    live.py [--build DIR] [--jobs N] [--keep] [--list] [NAME…]

A fact is a function below.  Most ask `live/asked.c`; what a process could answer and never should
is said by `live/pretender.py`.  After each, the process is alive and unharmed unless the fact says
otherwise, and no directory of the command is left where it meets processes.  Prints `N passed, N
failed, N skipped`.
"""
import argparse
import concurrent.futures
import fcntl
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
PLACES = ("/tmp", "/dev/shm", "/var/tmp", "/run")
NOT_LOOKED, LEAK = 4, 23
KEPT_BYTES = 55555
NOBODY = 65534
SECONDS = 60
IS_ROOT = os.geteuid() == 0


class Wrong(Exception):
    """A fact that does not hold."""


class Skipped(Exception):
    """A fact that cannot be looked at here."""


def expect(is_so, what):
    if not is_so:
        raise Wrong(what)


def meetings():
    """The directories in which the command meets processes."""
    return {str(path) for place in PLACES for path in pathlib.Path(place).glob("coroner-*")
            if re.fullmatch(r"coroner-[0-9a-f]{16}", path.name)}


def deserted(paths):
    """Those whose command has gone, a moment later: others may be at work here."""
    time.sleep(1)
    left = []
    for path in paths & meetings():
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            left.append(path)
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
    return sorted(left)


class Process:
    """A process that says "ready" and goes on until its standard input ends."""

    def __init__(self, command, directory, **more):
        self.errors = directory / f"errors.{time.monotonic_ns()}"
        with open(self.errors, "wb") as errors:
            self.popen = subprocess.Popen(command, cwd=directory, stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=errors, **more)
        self.pid = self.popen.pid
        self.line("ready")

    def line(self, word):
        line = self.popen.stdout.readline().decode().strip()
        if self.popen.poll() == 77:
            raise Skipped("not possible here")
        expect(line == word, f"it says {line!r} for {word!r}: {self.errors.read_text()[-300:]}")

    def tell(self, word):
        self.popen.stdin.write(f"{word}\n".encode())
        self.popen.stdin.flush()

    def end(self):
        """Lets it end; answers what it says at its end."""
        try:
            rest, _ = self.popen.communicate(timeout=SECONDS)
            return rest.decode().strip()
        finally:
            self.kill()

    def kill(self):
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()


def state_of(process):
    """Of its first thread."""
    return pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]


class Answer:
    """What `coroner check` or `dump` came to."""

    def __init__(self, done):
        self.status = done.returncode
        self.out, self.errors = done.stdout.decode(), done.stderr.decode()

    def refuses(self, pattern):
        """It could not look, and says why in a line."""
        lines = self.errors.strip().splitlines()
        expect(self.status == NOT_LOOKED, f"status {self.status}: {self.errors}{self.out[:300]}")
        expect(len(lines) == 1 and lines[0].startswith("coroner: "), f"it says {self.errors!r}")
        expect(re.search(pattern, lines[0]), f"{pattern!r} is not in {lines[0]!r}")
        expect(self.out == "", f"and prints {self.out[:200]!r}")
        expect(not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", self.errors), "it steers the terminal")

    def report(self):
        expect(self.status in (0, LEAK), f"status {self.status}: {self.errors}")
        expect(self.errors == "", f"it says {self.errors!r}")
        return json.loads(self.out)["processes"][0]


class Scene:
    """What a fact works with: a directory, and processes that end with it."""

    def __init__(self, build, directory):
        self.build, self.directory = build, directory
        self.coroner, self.shim = build / "coroner", build / "libcoroner.so"
        self.processes = []
        self.options = "output=/dev/null"
        self.environment = {**os.environ, "XDG_STATE_HOME": str(directory / "state")}

    def start(self, *command, watched=True, directory=None, **more):
        environment = dict(self.environment)
        if watched:
            environment.update(LD_PRELOAD=str(self.shim), CORONER_OPTIONS=self.options)
        process = Process([str(word) for word in command], directory or self.directory, env=environment, **more)
        self.processes.append(process)
        return process

    def asked(self, *what, **more):
        return self.start(self.build / "tests/live/asked", *what, **more)

    def pretend(self, way, **more):
        return self.start(sys.executable, TOP / "tests/live/pretender.py", self.shim, way,
                          self.recording(), watched=False, **more)

    def recording(self):
        path = self.build / "tests/live/recording.crn"
        if not path.exists() or path.stat().st_mtime < self.shim.stat().st_mtime:
            part = self.directory / "part.crn"
            subprocess.run([self.coroner, "run", f"--record={part}", "-o", "/dev/null",
                            self.build / "tests/live/asked"], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, timeout=SECONDS, check=False)
            part.rename(path)
        return path

    def ask(self, process, *options, command="check", **more):
        pid = process.pid if isinstance(process, Process) else process
        environment = more.pop("env", self.environment)
        return Answer(subprocess.run([self.coroner, command, *options, str(pid)],
                                     cwd=self.directory, env=environment, capture_output=True,
                                     stdin=subprocess.DEVNULL, timeout=SECONDS, check=False, **more))

    def ask_begin(self, process, *options, **more):
        """Asks without waiting for the answer."""
        popen = subprocess.Popen([self.coroner, "check", *options, str(process.pid)],
                                 cwd=self.directory, env=self.environment, **more,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return popen

    def said(self, process):
        """What it has said on standard error."""
        return process.errors.read_text()

    def close(self):
        for process in self.processes:
            process.kill()


FACTS = []


def fact(function):
    FACTS.append(function)
    return function


# Who cannot be asked.

@fact
def nobody_is_there(scene):
    gone = subprocess.Popen(["true"])
    gone.wait()
    scene.ask(gone.pid).refuses("there is no process")
    scene.ask(2**31 - 1).refuses("there is no process")


@fact
def a_number_is_a_number(scene):
    for words in ([], ["x"], ["0"], ["-1"], ["1", "2"], ["4294967297"]):
        done = subprocess.run([scene.coroner, "check", *words], capture_output=True, check=False)
        expect(done.returncode == 2 and done.stderr.count(b"\n") == 1, f"{words}: {done}")


@fact
def a_zombie_has_ended(scene):
    zombie = os.fork()
    if zombie == 0:
        os._exit(0)
    try:
        os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
        scene.ask(zombie).refuses("zombie")
    finally:
        os.waitpid(zombie, 0)


@fact
def the_kernel_has_threads_of_its_own(scene):
    flags = pathlib.Path("/proc/2/stat")
    if not flags.exists() or "kthreadd" not in flags.read_text():
        raise Skipped("the kernel's threads are not to be seen here")
    scene.ask(2).refuses("thread of the kernel")


@fact
def a_program_without_coroner_is_named(scene):
    process = scene.asked(watched=False)
    scene.ask(process).refuses("does not run under Coroner; start it by")
    expect(process.end() == "whole", "it was harmed")


@fact
def a_thread_is_told_from_its_process(scene):
    process = scene.asked("threads")
    threads = [int(name) for name in os.listdir(f"/proc/{process.pid}/task")]
    scene.ask(max(threads)).refuses(f"is a thread of process {process.pid}")


@fact
def a_program_that_stood_down_catches_nothing(scene):
    scene.ask(scene.pretend("uncaught")).refuses("not caught")


@fact
def a_signal_that_nobody_takes_is_not_sent(scene):
    process = scene.pretend("blocked")
    scene.ask(process).refuses("blocks signal 64 in every thread")


@fact
def a_stopped_process_stays_stopped(scene):
    process = scene.asked("stopped")
    while state_of(process) != "T":
        time.sleep(0.01)
    scene.ask(process).refuses(f"is stopped.*kill -CONT {process.pid}")
    os.kill(process.pid, signal.SIGCONT)
    expect(process.end() == "whole", "it was harmed")


@fact
def a_debugger_sees_nothing(scene):
    if shutil.which("gdb") is None:
        raise Skipped("gdb is not installed")
    process = scene.asked()
    gdb = subprocess.Popen(["gdb", "-q", "-nx", "-ex", "set pagination off", "-ex", "set debuginfod enabled off",
                            "-p", str(process.pid), "-ex", "echo attached\\n"],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        for line in gdb.stdout:
            if line.startswith(b"attached"):
                break
        if pathlib.Path(f"/proc/{process.pid}/status").read_text().find("TracerPid:\t0\n") >= 0:
            raise Skipped("gdb may not attach here")
        scene.ask(process).refuses(f"traced by process {gdb.pid}")
    finally:
        gdb.stdin.write(b"detach\nquit\n")
        gdb.stdin.close()
        gdb.wait()
    expect(process.end() == "whole", "it was harmed")


@fact
def another_user_may_not_ask(scene):
    if not IS_ROOT:
        raise Skipped("only root can be somebody else")
    process = scene.asked()
    scene.directory.chmod(0o777)
    answer = scene.ask(process, user=NOBODY, group=NOBODY, extra_groups=[])
    answer.refuses(r"another user \(uid 0\)")
    scene.ask(scene.asked("user", "private"), user=NOBODY, group=NOBODY,
              extra_groups=[]).refuses("memory is protected.*ask as root")


# What a process may answer.

def leaks_of(process):
    """(blocks, bytes, class) of each leak."""
    return [(leak["blocks"], leak["bytes"], leak["class"]) for leak in process["leaks"]]


@fact
def an_answer_is_a_report(scene):
    process = scene.pretend("plain")
    answer = scene.ask(process, "-f", "json")
    report = answer.report()
    expect(answer.status == LEAK and leaks_of(report) == [(3, 13332, "lost")], f"{report}")
    expect(report["check"]["copied_bytes"] == 8192, "what was copied is told afterwards")
    expect(report["check"]["predicted_pause_s"] > 0, "what was foreseen is told")
    expect(abs(report["summary"]["check_pause_s"] - 0.0015) < 1e-9, "the pause is told afterwards")
    text = scene.ask(process)
    expect(text.status == LEAK and "13,332 bytes" in text.out and text.errors == "", f"{text.out}")
    expect(scene.ask(process, "--error-exitcode=7").status == 7, "another status")
    expect(scene.ask(process, "--error-exitcode=0").status == 0, "no status")
    (scene.directory / "known").write_text("leak:*\n")
    expect(scene.ask(process, "--suppressions=known").status == 0, "suppressed")
    kept = scene.ask(process, "-o", "r.%p", "--record=k.%p")
    expect(kept.status == LEAK and kept.out == "", f"{kept.out}")
    expect(list(scene.directory.glob("r.*")) and list(scene.directory.glob("k.*")), "files")


@fact
def an_answer_may_come_in_pieces(scene):
    expect(scene.ask(scene.pretend("slow")).status == LEAK, "it was not waited for")


@fact
def an_answer_may_be_a_file(scene):
    expect(scene.ask(scene.pretend("file")).status == LEAK, "it was not found")


@fact
def links_and_directories_are_no_answers(scene):
    expect(scene.ask(scene.pretend("foul")).status == LEAK, "it was led astray")


@fact
def an_answer_without_an_end_is_an_answer(scene):
    expect(scene.ask(scene.pretend("no_over")).status == LEAK, "it was not taken")
    expect(scene.ask(scene.pretend("ends_answered")).status == LEAK, "it was not taken")


@fact
def why_there_is_no_answer_is_a_line(scene):
    for way, words in {"busy": "another check of .* asked for by process 4711",
                       "refused": r"was not checked: it is\?\[2Jending$",
                       "garbage": "does not know",
                       "huge": "does not know",
                       "large": "no memory here",
                       "no_recording": "no whole recording",
                       "given_up": "300 MiB had to be copied",
                       "killed": "was killed",
                       "end": "ended before it answered"}.items():
        process = scene.pretend(way)
        try:
            scene.ask(process).refuses(words)
        except Wrong as wrong:
            raise Wrong(f"{way}: {wrong}") from wrong


@fact
def a_cut_answer_is_none(scene):
    process = scene.pretend("cut")
    asking = scene.ask_begin(process)
    time.sleep(0.5)
    process.kill()
    _, errors = asking.communicate(timeout=SECONDS)
    expect(asking.returncode == NOT_LOOKED and errors.count(b"\n") == 1, f"{errors}")


# What is left.

@fact
def a_command_that_is_interrupted_leaves_nothing(scene):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        process = scene.pretend("pause")
        asking = scene.ask_begin(process)
        while not (scene.directory / "asked").exists():
            time.sleep(0.01)
        (scene.directory / "asked").unlink()
        asking.send_signal(number)
        out, errors = asking.communicate(timeout=SECONDS)
        expect(asking.returncode == -number, f"status {asking.returncode} after {number}")
        expect(out == errors == b"", f"{out} {errors}")
        process.kill()


@fact
def what_a_killed_command_left_is_removed(scene):
    before = meetings()
    process = scene.pretend("pause")
    asking = scene.ask_begin(process)
    while not (scene.directory / "asked").exists():
        time.sleep(0.01)
    expect(meetings() - before, "there is a directory")
    asking.kill()
    asking.wait()
    process.kill()
    scene.ask(scene.pretend("plain"))


@fact
def the_last_recordings_are_kept(scene):
    process = scene.pretend("plain")
    for _ in range(2):
        scene.ask(process)
    kept = list((scene.directory / "state/coroner").glob("check-*"))
    expect(len(kept) == 1 and kept[0].stat().st_mode & 0o777 == 0o600, f"{kept}")
    for number in range(20):
        shutil.copy(kept[0], kept[0].parent / f"check-{number}-0-0.crn")
    scene.ask(process)
    expect(len(list(kept[0].parent.glob("check-*"))) == 16, "too many are kept")


@fact
def a_pause_that_is_too_long_is_none(scene):
    process = scene.pretend("end")
    answer = scene.ask(process, "--max-pause=0")
    answer.refuses(r"about \d+\.\d ms .*--max-pause is 0")
    expect(process.popen.poll() is None, "it was asked all the same")


# A process that is asked.

LOST = [(3, 13332, "lost")]


def text_of(path):
    try:
        return pathlib.Path(path).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "gone"  # a thread of ours


def traces(pid):
    """What would tell of a check that is over."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    threads = sorted(os.listdir(f"/proc/{pid}/task"))
    return {
        "threads": threads,
        "descriptors": sorted((name, os.readlink(f"/proc/{pid}/fd/{name}"))
                              for name in os.listdir(f"/proc/{pid}/fd")),
        "children": [text_of(f"/proc/{pid}/task/{tid}/children") for tid in threads],
        "signals": re.findall(r"^S(?:ig[^Q]|hd)\w+:.*", status, re.MULTILINE),
    }


def same_after(pid, before):
    """Whether a moment later nothing tells of the check."""
    deadline = time.monotonic() + 10
    while (after := traces(pid)) != before and time.monotonic() < deadline:
        time.sleep(0.02)
    differing = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    expect(not differing, f"something is left: {differing}")


def looks(scene, process, *options, **more):
    """Its report; it lost what it lost."""
    report = scene.ask(process, "-f", "json", *options, **more).report()
    expect(leaks_of(report) == LOST, f"leaks {leaks_of(report)}")
    expect(report["check"]["kind"] == "live" and report["exit"] is None, f"{report['check']}")
    return report


@fact
def a_running_program_is_checked_and_runs_on(scene):
    for what in ([], ["threads"], ["first"], ["container"], ["mute"]):
        process = scene.asked(*what)
        while "first" in what and state_of(process) != "Z":
            time.sleep(0.01)
        before = traces(process.pid)
        report = looks(scene, process)
        if what == ["threads"]:
            report = looks(scene, process)
            expect(report["check"]["number"] == 2, f"{report['check']}")
            expect(report["check"]["last"]["risen_blocks"] == 0, f"{report['check']}")
        same_after(process.pid, before)
        expect(process.end() == "whole", f"{what}: it was harmed")


@fact
def what_comes_back_to_life_is_counted(scene):
    process = scene.asked()
    looks(scene, process)
    process.tell("free")
    process.line("done")
    answer = scene.ask(process, "-f", "json")
    report = answer.report()
    expect(answer.status == 0 and not report["leaks"], f"{report['leaks']}")
    last = report["check"]["last"]
    expect((last["risen_blocks"], last["risen_bytes"]) == (3, 13332), f"{last}")
    expect("have been freed or used since" in json.loads(answer.out)["warnings"][0], answer.out)
    expect(process.end() == "whole", "it was harmed")


@fact
def its_coroutines_are_dumped_and_counted(scene):
    process = scene.asked()
    for doubled in ([], [(20, 10)]):
        process.tell("suspend")
        process.line("done")
        answer = scene.ask(process, "-f", "json", command="dump")
        report = answer.report()
        expect(answer.status in (0, LEAK), f"{answer.status}")
        expect([row["count"] for row in report["coroutines"]] == [20 if doubled else 10],
               f"{report['coroutines']}")
        last = report["check"]["last"] or {"doubled": []}
        expect([(row["count"], row["count_before"]) for row in last["doubled"]] == doubled,
               f"{last}")
    expect(process.end() == "whole", "it was harmed")


@fact
def what_is_alive_is_told_on_a_page(scene):
    process = scene.asked("threads")
    report = scene.ask(process, "--format=json").report()
    kept = [row for row in report["live"] if row["bytes"] == KEPT_BYTES]
    expect(len(kept) == 1 and kept[0]["chain"], f"alive: {report['live']}")
    expect(kept[0]["growth"]["shape"] == "unknown", f"too young to tell: {kept[0]['growth']}")
    memory = report["memory"]
    expect(memory["resident_bytes"] > memory["heap_bytes"] > 0, f"memory: {memory}")
    expect(memory["limit"] and memory["left_bytes"] > 0, f"limit: {memory}")
    expect(report["tasks"] == [] and report["exit"] is None, "tasks, or an end")
    page = scene.ask(process).out
    expect(len(page.splitlines()) <= 40, page)
    for words in ("too early to tell", "13,332 bytes in 3 blocks proven", "resident",
                  f"next: coroner check --full {process.pid}"):
        expect(words in page, f"{words!r} is not in {page}")
    everything = scene.ask(process, "--full").out
    expect("alive, by what allocated it" in everything, everything)


@fact
def two_ask_at_once(scene):
    process = scene.asked()
    both = [scene.ask_begin(process, "-f", "json") for _ in range(2)]
    for asking in both:
        out, errors = asking.communicate(timeout=SECONDS)
        expect(asking.returncode == LEAK and b"13332" in out or
               asking.returncode == NOT_LOOKED and b"another check" in errors,
               f"{asking.returncode}: {errors}")
    expect(LEAK in [asking.returncode for asking in both], "nobody was answered")
    looks(scene, process)
    expect(process.end() == "whole", "it was harmed")


@fact
def it_ends_becomes_and_forks_meanwhile(scene):
    for word in ("exit", "become", "fork"):
        for wait in (0, 0.03, 0.1):
            process = scene.asked("threads")
            asking = scene.ask_begin(process)
            time.sleep(wait)
            process.tell(word)
            _, errors = asking.communicate(timeout=SECONDS)
            expect(asking.returncode == LEAK or (word == "become" and asking.returncode == 0) or
                   (asking.returncode == NOT_LOOKED and errors.count(b"\n") == 1),
                   f"{word} after {wait}: {asking.returncode} {errors}")
            process.popen.stdin.close()
            status = process.popen.wait(timeout=SECONDS)
            expect(status in (0, LEAK), f"{word} after {wait}: it ended with {status}")


@fact
def a_command_is_killed_at_any_time(scene):
    process = scene.asked("threads")
    before = traces(process.pid)
    for wait in range(0, 300, 50):
        asking = scene.ask_begin(process)
        time.sleep(wait / 1000)
        asking.kill()
        asking.communicate()
    same_after(process.pid, before)
    looks(scene, process)
    expect(process.end() == "whole", "it was harmed")


@fact
def root_asks_everybody_and_nobody_asks_himself(scene):
    if not IS_ROOT:
        raise Skipped("only root can be somebody else")
    scene.directory.chmod(0o777)
    for what in (["user"], ["user", "private"]):
        process = scene.asked(*what)
        looks(scene, process)
        if "private" not in what:
            looks(scene, process, user=NOBODY, group=NOBODY, extra_groups=[])
        expect(process.end() == "whole", f"{what}: it was harmed")


@fact
def it_may_make_no_process(scene):
    process = scene.asked("alone")
    scene.ask(process).refuses("does not answer: it may not make a process")
    expect(process.end() == "whole", "it was harmed")


def wait_for(path):
    deadline = time.monotonic() + SECONDS
    while not path.exists() or not path.stat().st_size:
        expect(time.monotonic() < deadline, f"{path.name} does not come")
        time.sleep(0.02)


@fact
def it_is_checked_when_a_signal_comes(scene):
    scene.options = "format=json:check_signal=USR2:output=r.%n:keep=2"
    for what in (["threads"], ["private"], ["user", "private"]):
        scene.directory.chmod(0o777)
        process = scene.asked(*what)
        before = traces(process.pid)
        last = 3 if what == ["threads"] else 1
        for number in range(1, last + 1):
            os.kill(process.pid, signal.SIGUSR2)
            wait_for(scene.directory / f"r.{number}")
            same_after(process.pid, before)
        report = json.loads((scene.directory / f"r.{last}").read_text())["processes"][0]
        expect(leaks_of(report) == LOST and report["check"]["kind"] == "live", f"{report}")
        expect(last == 1 or not (scene.directory / "r.1").exists(), "the oldest one is kept")
        expect(process.end() == "whole", "it was harmed")
        expect(scene.said(process) == "", "it says something")
        for path in scene.directory.glob("r.*"):
            path.unlink()


@fact
def it_is_checked_by_the_clock_and_at_a_size(scene):
    for options in ("check_every=1", "check_at=60000"):
        scene.options = f"format=json:{options}:output=r.%n"
        process = scene.asked("threads")
        wait_for(scene.directory / "r.1")
        expect(process.end() == "whole", "it was harmed")
        (scene.directory / "r.1").unlink()


def unshare(scene, script, *what):
    """Starts the program behind a script of sh, in mounts of its own."""
    probe = subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True)
    if probe.returncode != 0:
        raise Skipped("mounts cannot be changed here")
    asked = scene.build / "tests/live/asked"
    return scene.start("unshare", "-m", "--fork" if "--pid" in what else "-m", *what, "sh", "-c",
                       f"{script} exec env LD_PRELOAD={scene.shim} CORONER_OPTIONS=output=/dev/null "
                       f"{asked} threads", watched=False)


def inner(process):
    """The process itself, or the one that it has made."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(children[0]) if children else process.pid


@fact
def it_has_mounts_of_its_own(scene):
    full = ("mount -t tmpfs -o size=16k,nr_inodes=3 none {0} && "
            "{{ cat /dev/zero > {0}/x 2>/dev/null; touch {0}/y; true; }} && ")
    for script, *what in (
            ["mount -t tmpfs none /tmp && "],
            ["mount -t tmpfs none /tmp && mount -o remount,ro /tmp && "],
            ["".join(full.format(place) for place in ("/tmp", "/dev/shm"))],
            ["mount -t tmpfs none /tmp && ", "--pid", "--mount-proc"]):
        process = unshare(scene, script, *what)
        looks(scene, inner(process))
        expect(process.end() == "whole", f"{script}: it was harmed")


@fact
def it_can_write_nowhere(scene):
    places = " && ".join(f"mount -t tmpfs none {place} && mount -o remount,ro {place}"
                         for place in PLACES)
    process = unshare(scene, f"{places} && ")
    looks(scene, process)  # by an abstract address
    expect(process.end() == "whole", "it was harmed")


@fact
def its_root_is_another_one(scene):
    if not IS_ROOT:
        raise Skipped("only root can change roots")
    root = pathlib.Path(tempfile.mkdtemp(dir=scene.directory))
    (root / "tmp").mkdir()
    process = scene.start(scene.build / "tests/live/asked", "chroot",
                          directory=root)
    looks(scene, process)
    expect(process.end() == "whole", "it was harmed")


def run(function, build, keep):
    """Answers ("passed" | "failed" | "skipped", a line or None)."""
    parent = build / "tests/live/runs"
    parent.mkdir(parents=True, exist_ok=True)
    directory = pathlib.Path(tempfile.mkdtemp(dir=parent))
    scene = Scene(build, directory)
    try:
        function(scene)
        return "passed", None
    except Skipped as reason:
        return "skipped", f"skipped {function.__name__}: {reason}"
    except Wrong as wrong:
        return "failed", f"FAILED {function.__name__}: {wrong}"
    except Exception as error:  # pylint: disable=broad-except
        return "failed", f"FAILED {function.__name__}: {type(error).__name__}: {error}"
    finally:
        scene.close()
        if keep:
            print(f"kept {function.__name__}: {directory}")
        else:
            shutil.rmtree(directory, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("--jobs", default=2, type=int)
    parser.add_argument("--list", action="store_true", help="print the facts, look at none")
    parser.add_argument("--keep", action="store_true", help="keep what each left")
    parser.add_argument("patterns", nargs="*", metavar="NAME", help="regular expressions on facts")
    options = parser.parse_args()
    chosen = [function for function in FACTS if not options.patterns or
              any(re.search(pattern, function.__name__) for pattern in options.patterns)]
    if options.list:
        print("\n".join(function.__name__ for function in chosen))
        return 0
    build = options.build.resolve()
    before = meetings()
    tally = {"passed": 0, "failed": 0, "skipped": 0}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for verdict, line in pool.map(lambda one: run(one, build, options.keep), chosen):
            tally[verdict] += 1
            if line is not None:
                print(line, flush=True)
    left = deserted(meetings() - before)
    tally["failed" if left else "passed"] += 1
    if left:
        print(f"FAILED nothing is left: {left}")
    print(f"{tally['passed']} passed, {tally['failed']} failed, {tally['skipped']} skipped")
    return 1 if tally["failed"] or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
