#!/usr/bin/python3
"""Runs the fuzz targets of a build, and so long in all as --seconds says, two at a time.

Each begins with the small files of fuzz/corpus/TARGET and with what earlier runs found new
(BUILD/fuzz/found/TARGET).  An input that makes a target crash, hang for 10 s or take 1 GiB is kept
in BUILD/fuzz/bad and named; `BUILD/tests/fuzz/TARGET FILE` shows it again.  A target is a test.
"""
import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys

CORPUS = pathlib.Path(__file__).resolve().parent / "fuzz" / "corpus"
AT_ONCE = 2


def fuzz(target, build, seconds):
    """Answers what one run came to: how many inputs, and what is wrong (None: nothing)."""
    found, bad = build / "fuzz" / "found" / target.name, build / "fuzz" / "bad"
    found.mkdir(parents=True, exist_ok=True)
    bad.mkdir(parents=True, exist_ok=True)
    run = subprocess.run(
        [target, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024",
         "-max_len=16384", f"-artifact_prefix={bad}/{target.name}-", found, CORPUS / target.name],
        env=dict(os.environ, ASAN_OPTIONS="detect_leaks=0"), capture_output=True, text=True,
        errors="replace", timeout=seconds + 120, check=False)
    counts = re.findall(r"Done (\d+) runs", run.stderr)
    if run.returncode == 0 and counts:
        return int(counts[-1]), None
    lines = [line for line in run.stderr.splitlines()
             if re.search("ERROR|SUMMARY|runtime error|Test unit written", line)]
    return 0, "; ".join(lines) or run.stderr[-500:]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default="build")
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    build = options.build.resolve()
    names = sorted(path.stem for path in CORPUS.parent.glob("*.c"))
    targets = [build / "tests" / "fuzz" / name for name in names]
    missing = [target.name for target in targets if not target.exists()]
    if len(missing) == len(targets):
        print(f"skipped: no clang with libFuzzer when {build} was made")
        print(f"0 passed, 0 failed, {len(targets)} skipped")
        return 0
    seconds = max(1, options.seconds // len(targets))
    failed = len(missing)
    for name in missing:
        print(f"FAILED {name}: it is not built")
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = {target: pool.submit(fuzz, target, build, seconds)
                for target in targets if target.exists()}
        for target, run in runs.items():
            count, complaint = run.result()
            if complaint is not None:
                print(f"FAILED {target.name}: {complaint}")
                failed += 1
            else:
                print(f"{target.name}: {count:,} inputs in {seconds} s")
    print(f"{len(targets) - failed} passed, {failed} failed, 0 skipped")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
