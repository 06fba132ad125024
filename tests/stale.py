#!/usr/bin/python3
"""Builds stale/loops.c by several compilers and levels, and judges what its workers hold.

    stale.py [--build DIR] [NAME-REGEX…]

A test is one shape of loop, built one way: the message that the loop will not read again is `stale`
where some word of its stack still points to it, and `lost` where none does; it is never live.  One
build in six may miss that.  The twin of each reads its message again: none may be reported.
Ends with `N passed, M failed, K skipped`.
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
COMPILERS = ["gcc", "clang", "clang-19"]
LEVELS = ["-O0", "-O1", "-O2"]
SHAPES = ["queue", "condition", "polled", "reading", "semaphore", "callbacks", "machine", "nested"]
FLAGS = ["-std=gnu17", "-D_GNU_SOURCE", "-g", "-pthread"]
MISSED_MOST = 1 / 6
SECONDS_EACH = 120


def ask(build, program, work, words):
    """What the program said of its stack, and the classes of its leaks from make_message."""
    report = work / "report.json"
    report.unlink(missing_ok=True)
    done = subprocess.run([build / "coroner", "run", "--format=json", f"--output={report}", "--",
                           program, *words], cwd=work, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=SECONDS_EACH,
                          env={"PATH": os.environ["PATH"], "HOME": str(work)})
    if not report.exists():
        raise AssertionError(f"no report: {done.stderr}")
    leaks = json.loads(report.read_text())["processes"][0]["leaks"]
    return int(done.stdout), leaks


def is_told(leak):
    """Whether a stale leak says who holds it: a root of a thread, and a function."""
    return leak["chain"][0]["root"] in ("stack", "register") and \
        re.search(r" of \w+", leak["why"]) is not None


def main():
    parser = argparse.ArgumentParser(description="Judges blocked workers with stale messages.")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    build = options.build.resolve()
    passed, failed, skipped, missed = 0, 0, 0, []
    with tempfile.TemporaryDirectory(prefix="coroner-stale-") as place:
        work = pathlib.Path(place)
        for compiler in COMPILERS:
            for level in LEVELS:
                names = [f"{compiler}{level} {shape}" for shape in SHAPES]
                names = [name for name in names if not options.names
                         or any(re.search(word, name) for word in options.names)]
                if not names:
                    continue
                if shutil.which(compiler) is None:
                    skipped += 2 * len(names)
                    continue
                program = work / f"loops-{compiler}{level}"
                subprocess.run([compiler, level, *FLAGS, TOP / "tests/stale/loops.c", "-o", program],
                               check=True, timeout=SECONDS_EACH)
                for name in names:
                    shape = name.split()[1]
                    try:
                        words, leaks = ask(build, program, work, [shape])
                        classes = {leak["class"] for leak in leaks}
                        assert classes <= {"stale", "lost"}, classes
                        assert all(is_told(leak) for leak in leaks
                                   if leak["class"] == "stale"), leaks
                        blocks = sum(leak["blocks"] + leak["indirect_blocks"] for leak in leaks)
                        assert blocks <= 3, blocks # an old word may hold one of them
                        if not classes:
                            missed.append((name, words))
                        else:
                            assert words == 0 or "stale" in classes, (words, leaks)
                            passed += 1
                    except (AssertionError, ValueError, subprocess.TimeoutExpired) as wrong:
                        print(f"FAILED {name}: {wrong}")
                        failed += 1
                    try:
                        _, leaks = ask(build, program, work, [shape, "twin"])
                        assert not leaks, leaks
                        passed += 1
                    except (AssertionError, ValueError, subprocess.TimeoutExpired) as wrong:
                        print(f"FAILED {name} twin: {wrong}")
                        failed += 1
    judged = (passed + failed + len(missed)) // 2
    for name, words in missed:
        print(f"missed {name}: {words} words of the stack point to the message")
    if judged and len(missed) > judged * MISSED_MOST:
        failed += len(missed)
    else:
        skipped += len(missed)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed + skipped else 0


if __name__ == "__main__":
    sys.exit(main())
