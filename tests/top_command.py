#!/usr/bin/python3
"""Runs `coroner top` on a small server, with a pipe and with a pseudo-terminal; no fact is about time.

    top_command.py [--build DIR] [NAME-REGEX…]

The server does what lines of its standard input say, so a fact waits for what it has caused.  The
terminal is a vt100 of ours: what ncurses sends to it is drawn into a grid of characters.
"""
import argparse
import fcntl
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import unicodedata

TOP = pathlib.Path(__file__).resolve().parent.parent
SECONDS_EACH = 60
FACTS = []

SERVER = """
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
static ucontext_t home, coroutine;
static char stack[65536];
static char *volatile sink;
__attribute__((noinline)) static void forget(void) { sink = malloc(70); sink[0] = 1; sink = NULL; }
__attribute__((noinline)) static void 忘れる_größe(void) { sink = malloc(5000); sink[0] = 1; sink = NULL; }
__attribute__((noinline)) static void wait_for_reply(void) { swapcontext(&coroutine, &home); }
__attribute__((noinline)) static void wipe(void) { char junk[8192]; memset(junk, 0, sizeof junk); sink = junk; sink = NULL; }
int main(void)
{
    char line[80];
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = sizeof stack;
    coroutine.uc_link = &home;
    makecontext(&coroutine, wait_for_reply, 0);
    swapcontext(&home, &coroutine);
    forget();
    忘れる_größe();
    wipe();
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        forget();
        wipe();
        puts("done");
        fflush(stdout);
    }
    return 0;
}
"""

# Starts its arguments in a process group of its own, in the foreground of its terminal, as a shell
# does; says "stopped" when it is, and lets it go on at a line of its standard input's pipe.
SHELL = """
import os, signal, sys
child = os.fork()
if child == 0:
    os.setpgid(0, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[3], sys.argv[3:])
said, asked = int(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
while True:
    _, status = os.waitpid(child, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    os.write(said, b"stopped")
    os.read(asked, 1)
    os.tcsetpgrp(0, child)
    os.kill(-child, signal.SIGCONT)
"""


def fact(function):
    FACTS.append(function)
    return function


class Server:
    """The program that is looked at, under Coroner's shim."""

    def __init__(self, build, work):
        self.command, self.work = str(build / "coroner"), work
        source, program = work / "server.c", work / "server"
        source.write_text(SERVER, encoding="utf-8")
        subprocess.run(["cc", "-g", "-O0", "-o", program, source], check=True)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                            "HOME": str(work), "XDG_STATE_HOME": str(work / ".state")}
        self.process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            env={**self.environment, "LD_PRELOAD": str(build / "libcoroner.so"),
                 "CORONER_OPTIONS": "error_exitcode=0"})
        assert self.process.stdout.readline() == b"ready\n"

    @property
    def pid(self):
        return str(self.process.pid)

    def leak(self):
        self.process.stdin.write(b"leak\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"done\n"

    def end(self):
        self.process.stdin.close()
        self.process.wait(SECONDS_EACH)

    def top(self, *words, **more):
        return subprocess.Popen([self.command, "top", *words], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env=self.environment, **more)

    def run(self, *words, status):
        """Answers (standard output, standard error) of a run that ends so."""
        process = self.top(*words)
        out, err = process.communicate(timeout=SECONDS_EACH)
        assert process.returncode == status, f"status {process.returncode}: {err}{out[-600:]}"
        return out, err


class Terminal:
    """A command on a terminal, and what stands on its screen."""

    def __init__(self, server, *words, columns=80, rows=24, kind="vt100", before=()):
        self.main, self.side = pty.openpty()
        self.sent, self.grid, self.at, self.pending = b"", [], (0, 0), b""
        self.size(columns, rows)
        self.modes = termios.tcgetattr(self.side)
        self.process = subprocess.Popen(
            [*before, server.command, "top", *words], stdin=self.side, stdout=self.side,
            stderr=self.side, env={**server.environment, "TERM": kind}, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0), close_fds=False)

    def size(self, columns, rows):
        self.columns, self.rows = columns, rows
        self.grid = [[" "] * columns for _ in range(rows)]
        self.at, self.region = (0, 0), (0, rows - 1)
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def scroll(self, row, step):
        """Moves down, or up; at the edge of the region that scrolls, its lines move instead."""
        top, bottom = self.region
        if row == (bottom if step > 0 else top):
            del self.grid[top if step > 0 else bottom]
            self.grid.insert(bottom if step > 0 else top, [" "] * self.columns)
            return row
        return row + step

    def put(self, text):
        row, column = self.at
        for character in text:
            if character == "\r":
                column = 0
            elif character == "\n":
                row = self.scroll(row, 1)
            elif character == "\b":
                column -= 1
            elif character == "\t":
                column = (column | 7) + 1
            elif character >= " ":
                wide = unicodedata.east_asian_width(character) in "WF"
                if row < self.rows and column < self.columns:
                    self.grid[row][column] = character
                    if wide and column + 1 < self.columns:
                        self.grid[row][column + 1] = ""
                column += 2 if wide else 1
        self.at = row, column

    def control(self, parameters, letter):
        numbers = [int(number or 0) for number in parameters.strip("?").split(";")]
        row, column = self.at
        if letter == "H":
            row, column = numbers[0] - 1, (numbers[1] if len(numbers) > 1 else 1) - 1
            row, column = max(row, 0), max(column, 0)
        elif letter in "ABCD":
            step = max(numbers[0], 1)
            row += {"A": -step, "B": step}.get(letter, 0)
            column += {"C": step, "D": -step}.get(letter, 0)
        elif letter == "r":
            self.region = max(numbers[0], 1) - 1, (numbers + [0])[1] - 1
            if self.region[1] < 0:
                self.region = self.region[0], self.rows - 1
            row = column = 0
        elif letter == "K" and row < self.rows:
            span = range(column + 1) if numbers[0] == 1 else range(column, self.columns)
            for index in span:
                self.grid[row][index] = " "
        elif letter == "J":
            for index in range(row + 1 if numbers[0] == 0 else 0, self.rows):
                self.grid[index] = [" "] * self.columns
            if numbers[0] == 0 and row < self.rows:
                self.grid[row][column:] = [" "] * (self.columns - column)
        self.at = row, column

    def read(self, seconds):
        """Draws what comes within that time; answers whether something did."""
        if not select.select([self.main], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.main, 65536)
        except OSError:  # the other side is closed
            return False
        self.sent += got
        data = (self.pending + got).decode("utf-8", "surrogateescape")
        cut = re.search(r"(\x1b(\[[0-9;?]*|[()]?)|[\udc80-\udcff]+)$", data)
        if cut:
            data, rest = data[:cut.start()], data[cut.start():]
            self.pending = rest.encode("utf-8", "surrogateescape")
        else:
            self.pending = b""
        for words, back, parameters, letter in re.findall(
                r"([^\x1b]+)|(\x1bM)|\x1b\[([0-9;?]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78DEc]",
                data):
            if words:
                self.put(words)
            elif back:
                self.at = self.scroll(self.at[0], -1), self.at[1]
            elif letter:
                self.control(parameters, letter)
        return True

    def text(self):
        return "\n".join("".join(line).rstrip() for line in self.grid)

    def wait(self, pattern, absent=None):
        """Waits until the screen shows that."""
        until = time.monotonic() + SECONDS_EACH
        while not re.search(pattern, self.text()) or (absent and re.search(absent, self.text())):
            assert time.monotonic() < until, f"never showed {pattern}:\n{self.text()}"
            assert self.read(1) or self.process.poll() is None, f"it ended:\n{self.text()}"
        return self.text()

    def wait_sent(self, words):
        """The same, of what was sent, for a terminal that we do not draw."""
        until = time.monotonic() + SECONDS_EACH
        while words not in self.sent:
            assert time.monotonic() < until, f"never sent {words}: {self.sent}"
            assert self.read(1) or self.process.poll() is None, f"it ended: {self.sent}"

    def keys(self, keys):
        os.write(self.main, keys.encode())

    def end(self, status):
        """Waits for its end, after which the terminal is as it was."""
        until = time.monotonic() + SECONDS_EACH
        while self.process.poll() is None:
            assert time.monotonic() < until, f"did not end:\n{self.text()}"
            self.read(0.05)
        while self.read(0):
            pass
        assert self.process.returncode == status, self.process.returncode
        assert termios.tcgetattr(self.side) == self.modes, "the modes of the terminal are others"
        os.close(self.main)
        os.close(self.side)


@fact
def a_pipe_gets_plain_text(server):
    out, err = server.run("-n", "2", "-d", "0", server.pid, status=23)
    assert err == "", err
    assert "\x1b" not in out, out
    assert re.search(r"^server \(pid \d+\), up ", out), out
    assert "look 1: " in out and "look 2: " in out, out
    assert re.search(r"^ +70 +1 +lost +forget  server\.c:\d+$", out, re.M), out
    assert re.search(r"^ .*suspended +wait_for_reply  server\.c:\d+$", out, re.M), out
    assert "忘れる_größe  server.c" in out, out


@fact
def what_cannot_be_looked_at_is_one_line(server):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        for words, status in ((["99999999"], 4), ([str(sleeper.pid)], 4), (["none"], 2), ([], 2),
                              (["-d", "x", server.pid], 2), (["-n", "-1", server.pid], 2),
                              (["--stacks=off", server.pid], 2)):
            out, err = server.run(*words, status=status)
            assert out == "" and err.count("\n") == 1 and err.startswith("coroner: "), (words, err)
    finally:
        sleeper.kill()
        sleeper.wait()


@fact
def a_full_disk_is_said_and_a_reader_that_has_gone_is_not(server):
    with open("/dev/full", "w", encoding="ascii") as full:
        process = subprocess.run([server.command, "top", "-b", server.pid], stdout=full,
                                 stderr=subprocess.PIPE, text=True, env=server.environment,
                                 timeout=SECONDS_EACH, check=False)
    assert process.returncode == 2 and process.stderr.count("\n") == 1, process
    process = server.top("-d", "0", server.pid)
    process.stdout.close()
    err = process.stderr.read()
    assert process.wait(SECONDS_EACH) == 23 and err == "", err


@fact
def a_pause_that_would_be_too_long_is_not_made(server):
    out, err = server.run("--max-pause=0", server.pid, status=4)
    assert out == "" and err.count("\n") == 1 and "--max-pause" in err, err


@fact
def when_the_process_ends_the_last_table_stays(server):
    process = server.top("-d", "600", server.pid)
    first = ""
    while "forget  " not in first:
        line = process.stdout.readline()
        assert line, first
        first += line
    server.end()
    _, err = process.communicate(timeout=SECONDS_EACH)
    assert process.returncode == 23, process.returncode
    assert re.fullmatch(rf"coroner: process {server.pid} has ended; .*\n", err), err


@fact
def keys_do_what_they_do_in_top(server):
    terminal = Terminal(server, "-d", "600", server.pid)
    text = terminal.wait(r"(?s)lost +忘れる_größe.*q quit")
    assert re.search(r"(?s)größe.* 70 +1 +lost +forget", text), text
    terminal.keys("h")
    terminal.wait("look now", absent="forget")
    terminal.keys("q")
    terminal.wait("forget")
    terminal.keys("r")
    terminal.wait(r"(?s)\^GROWS.*forget.*忘れる_größe")
    terminal.keys("r>")
    terminal.wait("vBYTES")
    terminal.keys("/FORG")
    terminal.wait("FORG_", absent="größe")
    terminal.keys("\r\r")  # takes the filter, then shows the row
    terminal.wait(r"(?s)lost \(proven\).*allocated at\n *forget.*to mend", absent="BLOCKS")
    terminal.keys("q\x1b")
    terminal.wait("größe")
    terminal.keys("d1x\r")
    terminal.wait("'1x' is no number of seconds")
    server.leak()
    terminal.keys(" ")
    terminal.wait(r"140 +2 +lost +forget")
    terminal.keys("q")
    terminal.end(23)


@fact
def a_screen_may_be_small_and_change(server):
    terminal = Terminal(server, "-d", "600", server.pid, columns=20, rows=5)
    text = terminal.wait("忘れる")
    assert text.startswith("server (pid "), text
    assert "größe" not in text, text
    terminal.size(120, 40)
    terminal.wait(r"(?s)COROS.*größe.*q quit")
    terminal.size(40, 10)
    terminal.wait("忘れる", absent="COROS")
    terminal.size(1, 1)
    terminal.size(80, 24)
    terminal.wait(r"(?s)COROS.*größe.*q quit")
    terminal.keys("q")
    terminal.end(23)


@fact
def signals_leave_the_terminal_as_it_was(server):
    for number in (signal.SIGTERM, signal.SIGINT):
        terminal = Terminal(server, "-d", "600", server.pid, kind="xterm")
        terminal.wait_sent(b"forget")
        if number == signal.SIGINT:
            terminal.keys("\x03")
        else:
            terminal.process.send_signal(number)
        terminal.end(-number)
        assert terminal.sent.count(b"\x1b[?1049h") == terminal.sent.count(b"\x1b[?1049l") == 1


@fact
def when_the_process_ends_the_screen_goes_and_the_table_stays(server):
    terminal = Terminal(server, "-d", "600", server.pid, kind="xterm")
    terminal.wait_sent(b"forget")
    server.end()
    terminal.end(23)
    after = terminal.sent.split(b"\x1b[?1049l")[-1].decode()
    assert "forget  server.c" in after, after
    assert after.count(f"process {server.pid} has ended") == 1, after


@fact
def a_stop_gives_the_terminal_back_until_it_goes_on(server):
    said, asked = os.pipe(), os.pipe()
    for end in (said[1], asked[0]):
        os.set_inheritable(end, True)
    terminal = Terminal(server, "-d", "600", server.pid,
                        before=(sys.executable, "-c", SHELL, str(said[1]), str(asked[0])))
    terminal.wait("forget")
    terminal.keys("\x1a")
    until = time.monotonic() + SECONDS_EACH
    while not select.select([said[0]], [], [], 0.05)[0]:
        assert time.monotonic() < until, "did not stop"
        terminal.read(0)
    while terminal.read(0):
        pass
    assert termios.tcgetattr(terminal.side) == terminal.modes, "the terminal is still ours"
    terminal.grid = [[" "] * 80 for _ in range(24)]
    os.write(asked[1], b"\n")
    terminal.wait("forget")
    terminal.keys("q")
    terminal.end(23)
    for end in (*said, *asked):
        os.close(end)


@fact
def without_a_terminal_that_can_be_drawn_on_it_says_so(server):
    terminal = Terminal(server, server.pid, kind="no-such-terminal")
    terminal.end(2)
    assert b"no-such-terminal" in terminal.sent and b"--batch" in terminal.sent, terminal.sent


def main():
    parser = argparse.ArgumentParser(description="Checks `coroner top`.")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    facts = [function for function in FACTS
             if not options.names or any(re.search(name, function.__name__)
                                         for name in options.names)]
    failed = 0
    for function in facts:
        with tempfile.TemporaryDirectory(prefix="coroner-top-command-") as work:
            server = Server(options.build.resolve(), pathlib.Path(work))
            try:
                function(server)
            except (AssertionError, ValueError, subprocess.TimeoutExpired) as wrong:
                print(f"FAILED {function.__name__}: {wrong}")
                failed += 1
            finally:
                server.process.kill()
                server.process.wait()
    print(f"{len(facts) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not facts else 0


if __name__ == "__main__":
    sys.exit(main())
