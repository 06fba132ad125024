#!/usr/bin/python3
"""Asks LeakSanitizer and Memcheck the questions that the rows ask Coroner.

    peers/run.py [--build DIR] [--jobs N] [--seconds N] [--markdown] [NAME…]

A row is one situation that must be judged right (a RUN line with a ROW line in a case); its twin is
the other side of the same story.  NAME is a regular expression on "ROW CASE ARGUMENTS", such as
'^U5 ' or boost.  LeakSanitizer answers on a clang -O0 build with -fsanitize=leak; Memcheck on the
gcc -O0 build; Coroner on the same one.  The answers:

    right    the leak is reported, or what is in use is not
    missed   the leak is not reported
    false    a block that is still in use is reported
    wrong    (Coroner) the leak is reported with another verdict
    died     the tool or the program under it did not end by itself

What Memcheck calls possibly lost counts as reported.  A table of answers is no pass or fail: it
says who can see what.  --markdown prints it, one line for each row; a twin is named there where it
is not judged right.
"""
import argparse
import collections
import concurrent.futures
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TESTS))
import case_facts  # noqa: E402  (needs the path above)
import case_file  # noqa: E402

SITUATIONS = {
    "U1": "ucontext, mapped stack: suspended, resumable",
    "U2": "ucontext, malloc stack: suspended, resumable",
    "U3": "ucontext, malloc stack: completed, its stack in a pool",
    "U4": "ucontext, mapped stack: completed, its stack in a pool",
    "U5": "ucontext, malloc stack: handle dropped",
    "U7": "ucontext, mapped stack: handle dropped",
    "U8": "held by main's stack while the check runs on a fiber",
    "U9": "pointer overwritten in a live fiber, mapped stack",
    "U10": "pointer overwritten in a live fiber, malloc stack",
    "U11": "only a stale argument register in a saved context has it",
    "U12": "created and queued, its argument in two halves",
    "U13": "created and dropped",
    "U14": "ended by a last switch into a pool, left below sp",
    "U15": "suspended in its entry function, which holds it",
    "U16": "control block, result and stack in one block; completed",
    "R1": "ended; its result waits in a join queue",
    "J1": "sigsetjmp as QEMU does it: suspended",
    "J2": "the same: back in the pool, left below sp",
    "B1": "Boost.Context, protected stack: suspended",
    "B2": "Boost.Context, malloc stack: suspended",
    "B3": "Boost.Coroutine2: object lost",
    "B4": "Boost.Fiber: never resumed",
    "B5": "Boost.Fiber: finished, never joined",
    "S1": "hand-written switch: on a queue",
    "S2": "hand-written switch: dropped",
    "C1": "C++20: suspended, handle in a queue",
    "C2": "C++20: suspended, handle lost",
    "C4": "C++20: at final suspend, handle kept",
    "C5": "C++20: awaiting parent, live child",
    "C6": "C++20: ring of tasks awaiting each other",
    "C7": "C++20: at final suspend, handle lost",
    "A1": "asio::awaitable: waiting on a live timer",
    "A2": "asio::awaitable: its handler lies in a lost block",
    "K1": "C++20 frame known only to epoll",
    "K2": "C++20 frame known only to io_uring",
    "K3": "C++20 frame known only to a POSIX timer",
    "K4": "the same, closed",
    "M1": "a thousand coroutines of each state",
    "T1": "coroutines resumed on four threads in turn",
}
SECONDS_EACH = 60
Row = collections.namedtuple("Row", "name case arguments truth function")


def rows(patterns):
    """The rows that can be put to a peer: a plain `coroner run … $CASE arguments` line."""
    for case in case_file.read_all():
        for run in case.runs:
            if not run.row or not re.fullmatch(r"coroner run [^;|&]*\$CASE[^;|&]*", run.command):
                continue
            title = " ".join([run.row, case.name, *run.words_after_case()])
            if patterns and not any(re.search(one, title) for one in patterns):
                continue
            leaks = [expect for expect in run.expects if "allocated_in=" in expect]
            # The first leak named is what the row is about; the rest comes with it.
            function = re.search(r"allocated_in=(\S+)", leaks[0])[1] if leaks else None
            yield Row(run.row, case, run.words_after_case(),
                      leaks[0].split()[0] if leaks else "live", function)


def judge(row, reported):
    """`reported` is the set of functions whose blocks the tool called leaked."""
    if row.function is None:
        return "false" if reported else "right"
    return "right" if row.function in reported else "missed"


def run(argv, seconds):
    """Answers what a tool wrote to standard error, or None when it died."""
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                              check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode < 0 else done.stderr.decode(errors="replace")


def functions_of(stacks, own):
    """The functions of the case itself among stacks, each a list of function names."""
    return {name for stack in stacks for name in stack if name in own}


def own_functions(case):
    """Every function defined in a case, or in what it includes from beside it."""
    folder = case.source.parent
    source = case.source.read_text(encoding="utf-8")
    for name in re.findall(r'^#include "([^"]+)"', source, re.MULTILINE):
        source += (folder / name).read_text(encoding="utf-8")
    names = re.findall(r"\b(\w+)\([^;{}]*\)[\s\w]*\{", source)
    return set(names) - {"if", "for", "while", "switch", "catch"}


class Peers:
    """The tools there are, and what they need."""

    def __init__(self, build, scratch, seconds):
        self.build, self.scratch, self.seconds = build, scratch, seconds
        tools = {"Coroner": build / "coroner", "LeakSanitizer": "clang", "Memcheck": "valgrind"}
        self.names = [name for name, binary in tools.items() if shutil.which(str(binary))]

    def ask(self, row):
        """Answers what each tool says of a row."""
        answers = {"Coroner": self.ask_coroner, "LeakSanitizer": self.ask_lsan,
                   "Memcheck": self.ask_memcheck}
        return [answers[name](row) for name in self.names]

    def arguments(self, row, program):
        usual = self.build / "tests" / "cases" / "gcc-O0" / row.case.name
        return [str(program or usual), *(word.replace("$CASE", str(usual))
                                         for word in row.arguments)]

    def lsan_program(self, case):
        return self.scratch / f"{case.name}-lsan"

    def build_for_lsan(self, case):
        compiler = ["clang", "-std=gnu17"]
        if case.source.suffix == ".cc":
            compiler = ["clang++", "-std=c++20"]
        subprocess.run([*compiler, "-D_GNU_SOURCE", "-g", "-O0", "-w", "-pthread",
                        "-fsanitize=leak", str(case.source), "-o", str(self.lsan_program(case)),
                        *case.flags], capture_output=True, check=False)

    def ask_lsan(self, row):
        program = self.lsan_program(row.case)
        said = run(self.arguments(row, program), self.seconds) if program.exists() else None
        if said is None:
            return "died"
        stacks = [re.findall(r"#\d+ 0x[0-9a-f]+ in (\w+)", part)
                  for part in re.split(r"(?:Direct|Indirect) leak of", said)[1:]]
        return judge(row, functions_of(stacks, own_functions(row.case)))

    def ask_memcheck(self, row):
        said = run(["valgrind", "--leak-check=full",
                    "--show-leak-kinds=definite,indirect,possible", "--num-callers=30",
                    *self.arguments(row, None)], self.seconds)
        if said is None or "ERROR SUMMARY" not in said:
            return "died"
        stacks = [re.findall(r"(?:at|by) 0x[0-9A-F]+: (\w+)", part)
                  for part in re.split(r"bytes in [\d,]+ blocks are ", said)[1:]]
        return judge(row, functions_of(stacks, own_functions(row.case)))

    def ask_coroner(self, row):
        directory = pathlib.Path(tempfile.mkdtemp(dir=self.scratch))
        run([str(self.build / "coroner"), "run", "--format=json",
             f"--output={directory / 'report.json'}", "--", *self.arguments(row, None)],
            self.seconds)
        if not (directory / "report.json").exists():
            return "died"
        seen = case_facts.Seen(0, "", "", directory)
        leaks = [case_facts.describe(leak) for one in seen.reports()
                 for process in one["processes"] for leak in process["leaks"]]
        answer = judge(row, {leak["allocated_in"] for leak in leaks})
        if answer == "right" and row.function is not None and not any(
                leak["allocated_in"] == row.function and leak["class"] in row.truth.split("|")
                for leak in leaks):
            return "wrong"
        return answer


def summed(answers):
    """Some answers in few words: `right`, or `9 right, 5 missed`."""
    counts = collections.Counter(answers)
    if len(counts) <= 1:
        return next(iter(counts), "")
    return ", ".join(f"{count} {answer}" for answer, count in counts.most_common())


def markdown(names, results):
    """The table, a line for each row; `results` are (row, answers)."""
    lines = [["row", "situation", "truth", *names], ["---"] * (3 + len(names))]
    for name, situation in SITUATIONS.items():
        own = [(row, answers) for row, answers in results if row.name == name]
        twins = [answers for row, answers in results if row.name == f"{name} twin"]
        if not own:
            continue
        cells = []
        for column in range(len(names)):
            cell = summed(answers[column] for _, answers in own)
            twin = summed(answers[column] for answers in twins)
            cells.append(cell if twin in ("", "right") else f"{cell}; twin {twin}")
        lines.append([name, situation, own[0][0].truth.replace("|", " or "), *cells])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main():
    parser = argparse.ArgumentParser(description="Compares Coroner with its peers on the rows.")
    parser.add_argument("patterns", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--seconds", type=int, default=SECONDS_EACH, metavar="N",
                        help="how long one tool may take for one row")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    options = parser.parse_args()
    asked = list(rows(options.patterns))
    results, right = [], collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        peers = Peers(options.build.resolve(), pathlib.Path(scratch), options.seconds)
        with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
            if "LeakSanitizer" in peers.names:
                list(pool.map(peers.build_for_lsan,
                              {row.case.name: row.case for row in asked}.values()))
            for row, answers in zip(asked, pool.map(peers.ask, asked)):
                results.append((row, answers))
                said = " ".join(f"{name}: {answer:<7}"
                                for name, answer in zip(peers.names, answers))
                title = " ".join([row.case.name, *row.arguments])
                print(f"{row.name:<9}{title:<34} {row.truth:<14} {said}", flush=True,
                      file=sys.stderr if options.markdown else sys.stdout)
                right.update(name for name, answer in zip(peers.names, answers)
                             if answer == "right")
    if options.markdown:
        print(markdown(peers.names, results), end="\n\n")
    print(f"right of {len(asked)}:", ", ".join(f"{name} {right[name]}" for name in peers.names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
