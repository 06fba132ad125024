#!/usr/bin/python3
"""Which costs grow: with the process, or from one state of Coroner to the next.

usage: growth.py BUILD [--before BUILD] [--rounds N] [--only REGEX]

--before names another build of Coroner, which then is a version of the same run.  A row runs
A B C A B C …, never A A B B, so that what else the machine does strikes all alike; the first round
is the warm-up and does not count.  README.md says what each figure means.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

# Rows: a program and its arguments, and where its figure comes from: what it prints, the seconds
# that the whole process took (wall), its peak of resident memory (rss), or what the report says of
# the check (check_s).
ROWS = (
    ("loads 10", "printed"),
    ("loads 10000", "printed"),
    ("loads 30000", "printed"),
    ("forks 1000000", "printed"),
    ("forks 5000000", "printed"),
    ("forks 5000000 busy", "printed"),
    ("forks 1000000 keeps", "printed"),
    ("forks 5000000 keeps", "printed"),
    ("forks 1000000 leaky", "printed"),
    ("slabs 32768 1", "printed"),
    ("slabs 32768 2", "printed"),
    ("slabs 32768 64", "printed"),
    ("waiters 1000", "check_s"),
    ("waiters 4000", "check_s"),
    ("waiters 8000", "check_s"),
    ("untouched mmap 64", "wall"),
    ("untouched unasked 1", "wall"),
    ("untouched unasked 64", "wall"),
    ("untouched malloc 1", "wall"),
    ("untouched malloc 200", "wall"),
    ("untouched malloc 200", "rss"),
    ("churn", "printed"),
    ("deep_stack", "printed"),
    ("threads 1", "printed"),
    ("realloc_growth", "printed"),
    ("ten_thousand", "printed"),
    ("ten_thousand", "check_s"),
    ("empty", "wall"),
)
NOISY = 0.15
LIMIT_S = 180


def linked(path, name):
    """The library of that name that an ELF file is linked with."""
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=True).stdout
    return re.search(rf"{name}\S* => (\S+)", said)[1]


class Version:
    """A way to start a program, and what it costs."""

    def __init__(self, name, preload, is_coroner):
        self.name, self.preload, self.is_coroner = name, preload, is_coroner

    def setting(self, report):
        """The environment to start it with; `report`: where it goes, None: nowhere."""
        setting = dict(os.environ, LD_PRELOAD=str(self.preload))
        if self.is_coroner:
            output = f":format=json:output={report}" if report else ""
            setting["CORONER_OPTIONS"] = f"error_exitcode=0{output}"
        return setting

    def start(self, words, report):
        """Runs a program; answers what it printed and how long it took, None: too long."""
        began = time.monotonic()
        with subprocess.Popen(words, env=self.setting(report), stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL, text=True) as program:
            try:
                printed, _ = program.communicate(timeout=LIMIT_S)
            except subprocess.TimeoutExpired:
                program.kill()
                return None
            took = time.monotonic() - began
        if program.returncode != 0:
            sys.exit(f"growth: {' '.join(map(str, words))} under {self.name} ended with "
                     f"{program.returncode}")
        return printed, took


def sample(build, version, row, source, work):
    """One figure, with its unit; None: there is none."""
    program, *arguments = row.split()
    folders = (build / "bench/growth", build / "bench")
    words = [next(path for folder in folders if (path := folder / program).is_file()), *arguments]
    report = work / "report.json" if source == "check_s" else None
    if report:
        report.unlink(missing_ok=True)
    if source == "check_s" and not version.is_coroner:
        return None
    if source == "rss":
        return rss_sample(version, words, report)
    result = version.start(words, report)
    if result is None:
        return float(LIMIT_S), "s"
    printed, took = result
    if source == "wall":
        return took, "s"
    if source == "check_s":
        said = json.loads(report.read_text(encoding="utf-8"))
        return said["processes"][0]["summary"]["check_s"], "s"
    _, value, unit = printed.split()
    return float(value), unit


def rss_sample(version, words, report):
    """The most memory that was resident of one process."""
    pid = os.posix_spawn(words[0], [str(word) for word in words], version.setting(report))
    return os.wait4(pid, 0)[2].ru_maxrss / 1024, "MiB"


def median(values):
    """The middle one, and whether they lie too far apart to trust it."""
    values = sorted(values)
    last = len(values) - 1
    middle = statistics.median(values)
    spread = values[round(last * 0.75)] - values[round(last * 0.25)]
    return middle, "~" if spread > NOISY * middle else ""


def table(samples, rows, versions, has_head):
    """The medians of some rows, and ratios."""
    labels = [version.name for version in versions]
    if has_head:
        yield f"{'row':<24}{'of':<9}{'unit':<5}" + "".join(f"{label:>11}" for label in labels) + \
        f"{'now/plain':>11}" + (f"{'before/now':>12}" if "before" in labels else "")
    for row, source in rows:
        figures = {label: median(values) for label in labels
                   if (values := [each[0] for each in samples[row, source, label]])}
        unit = next(each[1] for label in labels for each in samples[row, source, label])
        line = f"{row:<24}{source:<9}{unit:<5}"
        for label in labels:
            line += f"{figures[label][1] + format(figures[label][0], '.3f'):>11}" \
                if label in figures else f"{'-':>11}"
        ratio = lambda above, below: format(figures[above][0] / figures[below][0], ".2f") \
            if above in figures and below in figures else "-"
        line += f"{ratio('now', 'plain'):>11}"
        if "before" in labels:
            line += f"{ratio('before', 'now'):>12}"
        yield line


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--before", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    build = options.build.resolve()
    versions = [Version("plain", linked(build / "libcoroner.so", "libjemalloc"), False)]
    if options.before:
        versions.append(Version("before", options.before.resolve() / "libcoroner.so", True))
    versions.append(Version("now", build / "libcoroner.so", True))
    rows = [row for row in ROWS if re.search(options.only, row[0])]
    samples = {(*row, version.name): [] for row in rows for version in versions}
    load_before, began = os.getloadavg()[0], time.monotonic()
    with tempfile.TemporaryDirectory() as work:
        os.chmod(work, 0o777)
        for row, source in rows:
            for turn in range(options.rounds + 1):
                for version in versions:
                    figure = sample(build, version, row, source, pathlib.Path(work))
                    if turn > 0 and figure is not None:
                        samples[row, source, version.name].append(figure)
            print("\n".join(table(samples, [(row, source)], versions, row is rows[0][0])),
                  flush=True)
    print(f"\nMedians of {options.rounds} rounds in {(time.monotonic() - began) / 60:.0f} min; load "
          f"{load_before:.1f} before, {os.getloadavg()[0]:.1f} after. ~ marks samples that spread "
          f"over more than {NOISY:.0%}.")


if __name__ == "__main__":
    main()
