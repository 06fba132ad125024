"""Medians, ratios and tables of what table.py has measured."""
import collections
import math
import pathlib
import statistics
import subprocess
import sys
import time

NOISY = 0.15  # the middle half of a figure's samples spreads over more than this part of the median
CORONER = ("off", "sampled", "full")

Figure = collections.namedtuple("Figure", "value is_noisy")


def figure(runs, key):
    """The median of a version's samples, and whether they are too far apart to trust it."""
    values = sorted(run[key] for run in runs)
    last = len(values) - 1
    middle = statistics.median(values)
    spread = values[round(last * 0.75)] - values[round(last * 0.25)]
    return Figure(middle, spread > NOISY * middle)


def text(what, digits=2):
    """A figure in a table; those that were not measured are "-"."""
    if what is None:
        return "-"
    value = round(what.value, digits) + 0.0  # no "-0"
    return f"{'~' if what.is_noisy else ''}{value:.{digits}f}"


class Table:
    """What was measured of some workloads, by name and version."""

    def __init__(self, samples, rows, labels):
        self.samples, self.labels = samples, labels
        self.names = [row[0] for row in rows]
        self.counted = [row[0] for row in rows if row[2]]

    def figure(self, name, label, key):
        runs = self.samples.runs[name].get(label)
        return figure(runs, key) if runs else None

    def ratio(self, name, label, key, base=None):
        """To plain runs of the same work, or to another version."""
        above = self.figure(name, label, key)
        below = self.figure(name, base or self.samples.bases.get((name, label), "glibc"), key)
        if above is None or below is None:
            return None
        return Figure(above.value / below.value, above.is_noisy or below.is_noisy)

    def added_ns(self, name, label):
        """What one allocating call costs more than plain, and how many calls there are."""
        above, below = (self.figure(name, each, "cpu_s") for each in (label, "glibc"))
        report = self.samples.reports.get((name, label))
        if above is None or report is None or report["allocations"] == 0:
            return None
        return Figure((above.value - below.value) / report["allocations"] * 1e9,
                      above.is_noisy or below.is_noisy)

    def column(self, label, key, base=None):
        """The ratios of the workloads that count."""
        ratios = [self.ratio(name, label, key, base) for name in self.counted]
        return [(each.value, name) for name, each in zip(self.counted, ratios) if each is not None]

    def ratios(self, key, first, scale, digits):
        """One table: the plain program's figure, and every other version's ratio to it."""
        labels = [label for label in self.labels if label != "glibc"]
        has_ns = key == "cpu_s" and "full" in labels
        yield f"{first:<12}{'glibc':>9}" + "".join(f"{label:>10}" for label in labels) + \
            (f"{'calls':>12}{'ns/call':>9}" if has_ns else "")
        for name in self.names:
            plain = self.figure(name, "glibc", key)
            line = f"{name:<12}{text(plain._replace(value=plain.value * scale), digits):>9}"
            line += "".join(f"{text(self.ratio(name, label, key)):>10}" for label in labels)
            if has_ns:
                calls = self.samples.reports[name, "full"]["allocations"]
                line += f"{calls:>12}{text(self.added_ns(name, 'full'), 0):>9}"
            yield line
        columns = [self.column(label, key) for label in labels]
        yield f"{'geomean':<21}" + "".join(
            f"{geomean(column):>10.2f}" if column else f"{'-':>10}" for column in columns)
        yield f"{'worst':<21}" + "".join(
            f"{max(column)[0]:>10.2f}" if column else f"{'-':>10}" for column in columns)

    def by_jemalloc(self):
        """Coroner's modes by the allocator they are built on."""
        for label in CORONER:
            column = self.column(label, "cpu_s", "jemalloc")
            if column:
                yield (f"{label}/jemalloc: geomean {geomean(column):.2f}, "
                       f"worst {max(column)[0]:.2f} ({max(column)[1]})")

    def threads(self):
        """What an allocation of four threads costs by one of one thread."""
        if not {"threads1", "threads4"} <= set(self.names):
            return
        told = []
        for label in self.labels:
            four, one = (self.figure(name, label, "cpu_s") for name in ("threads4", "threads1"))
            if four is not None and one is not None:
                both = Figure(four.value / one.value, four.is_noisy or one.is_noisy)
                told.append(f"{label} {text(both)}")
        yield "threads4/threads1: " + ", ".join(told)

    def whole(self, name):
        """What naming and writing the report adds to a run."""
        if name in self.names and "whole" in self.samples.runs[name]:
            run, full = (self.figure(name, each, "cpu_s") for each in ("whole", "full"))
            yield (f"all of `coroner run`, {name}: {run.value:.3f} s, "
                   f"{run.value - full.value:.3f} s of it for names and the report")

    def checks(self):
        """The longest check at an end."""
        took = [(report["check_s"], name) for (name, label), report in self.samples.reports.items()
                if label == "full"]
        if took:
            yield f"longest check at the end: {max(took)[0]:.3f} s ({max(took)[1]})"


def geomean(column):
    return math.exp(statistics.fmean(math.log(value) for value, _ in column))


def tables(samples, rows, labels, whole_name):
    """Everything there is to say, as lines of text."""
    table = Table(samples, rows, labels)
    lines = ["CPU: seconds of the plain program, and ratios to it", "",
             *table.ratios("cpu_s", "workload", 1, 3), ""]
    lines += [*table.by_jemalloc(), *table.threads(), *table.checks(), *table.whole(whole_name)]
    lines += ["", "Peak of resident memory: MiB of the plain program, and ratios to it", "",
              *table.ratios("rss_kib", "workload", 1 / 1024, 1), ""]
    lines.append(f"~ marks what rests on samples that spread over more than {NOISY:.0%}.")
    return "\n".join(lines)


def provenance(rounds, took_s):
    """Where, when and how; of what."""
    here = pathlib.Path(__file__).resolve().parent
    told = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False).stdout.strip()
    models = collections.Counter(line.partition(":")[2].strip()
                                 for line in open("/proc/cpuinfo", encoding="utf-8")
                                 if line.startswith("model name"))
    machine = ", ".join(f"{count} x {model}" for model, count in models.items())
    words = " ".join(word for word in sys.argv[2:])
    return (f"{time.strftime('%Y-%m-%d')}, bench/table.py BUILD {words}".rstrip() +
            f" at {told or 'an unknown commit'}: {rounds} rounds in {took_s / 60:.0f} min on "
            f"{machine}.")
