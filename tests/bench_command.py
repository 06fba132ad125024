#!/usr/bin/python3
"""Runs `coroner bench` on small programs and checks what it does and says; no fact is about time.

    bench_command.py [--build DIR] [NAME-REGEX…]

A fact is a function marked so; it raises AssertionError when it does not hold.  Ends with
`N passed, M failed, K skipped`.
"""
import argparse
import html.parser
import json
import os
import pathlib
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

NULL = type(None)
NUMBER = (int, float)
TOP = pathlib.Path(__file__).resolve().parent.parent
VERSIONS = ["plain", "jemalloc", "off", "sampled", "full"]
SECONDS_EACH = 120

BENCH = {"schema": str, "coroner": str, "started": str, "program": dict, "machine": str,
         "jemalloc": (str, NULL), "rounds": int, "rounds_wanted": int, "interrupted": (int, NULL),
         "interval_level": (*NUMBER, NULL), "noisy": (bool, NULL), "alike": bool, "notes": list,
         "versions": list}
PROGRAM = {"path": str, "argv": list, "stdin_bytes": int}
VERSION = {"name": str, "exit": dict, "stdout_alike": (bool, NULL), "stderr_alike": (bool, NULL),
           "cpu_s": dict, "wall_s": dict, "peak_rss_bytes": dict, "allocations": (int, NULL),
           "allocations_per_s": (*NUMBER, NULL), "added_ns": (dict, NULL),
           "check_pause_s": (*NUMBER, NULL), "check_s": (*NUMBER, NULL),
           "report_s": (*NUMBER, NULL), "leaked_blocks": (int, NULL), "processes": (int, NULL)}
EXIT = {"code": (int, NULL), "signal": (int, NULL), "alike": (bool, NULL)}
FIGURE = {"median": (*NUMBER, NULL), "low": (*NUMBER, NULL), "high": (*NUMBER, NULL),
          "samples": list, "ratio": (dict, NULL)}
INTERVAL = {"estimate": NUMBER, "low": (*NUMBER, NULL), "high": (*NUMBER, NULL)}
RATIO = {**INTERVAL, "noisy": (bool, NULL)}


class Bench:
    """Where the command is, and a place for its temporary files, which must be empty afterwards."""

    def __init__(self, build, work):
        self.build, self.work = build, work
        self.temporary = work / "temporary"
        self.temporary.mkdir()
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                            "TMPDIR": str(self.temporary), "HOME": str(work)}

    def start(self, *words, **more):
        return subprocess.Popen([str(self.build / "coroner"), "bench", *map(str, words)],
                                cwd=self.work, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, **{"stdin": subprocess.DEVNULL,
                                              "env": self.environment, **more})

    def run(self, *words, status=0, stdin="", **more):
        """Answers (standard output, standard error) of a run that ends so."""
        process = self.start(*words, stdin=subprocess.PIPE, **more)
        out, err = process.communicate(stdin, timeout=SECONDS_EACH)
        assert process.returncode == status, f"status {process.returncode}: {err}{out[-600:]}"
        return out, err

    def report(self, *words, rounds=1, **more):
        """The JSON report of a quiet run, held against its schema."""
        out, err = self.run("-n", rounds, "--format=json", *words, **more)
        assert err == "", err
        return checked(out)

    def shell(self, script, **more):
        return self.report("--", "sh", "-c", script, **more)


def keys(where, value, table):
    """Says which keys of the table `value` lacks, or has with a value of another type."""
    for key, kind in table.items():
        if not isinstance(value, dict) or key not in value:
            yield f"{where} lacks {key}"
        elif not isinstance(value[key], kind) or (value[key] is True and kind is int):
            yield f"{where}.{key} is {json.dumps(value[key])[:60]}"


def checked(text):
    report = json.loads(text)
    wrong = list(schema(report))
    assert not wrong, "; ".join(wrong)
    return report


def interval(where, value, table):
    if value is None:
        return
    yield from keys(where, value, table)
    if value.get("low") is not None and not value["low"] <= value["estimate"] <= value["high"]:
        yield f"{where} does not lie inside its interval"


def schema(report):
    """Says what is wrong with a report: coroner-bench/1, see shim/launcher/bench/json.c."""
    yield from keys("bench", report, BENCH)
    yield from keys("program", report["program"], PROGRAM)
    if report["schema"] != "coroner-bench/1":
        yield f"schema is {report['schema']}"
    names = [version["name"] for version in report["versions"]]
    if names != VERSIONS:
        yield f"versions are {names}"
    for version in report["versions"]:
        where = version["name"]
        yield from keys(where, version, VERSION)
        yield from keys(f"{where}.exit", version["exit"], EXIT)
        for metric in ("cpu_s", "wall_s", "peak_rss_bytes"):
            figure = version[metric]
            yield from keys(f"{where}.{metric}", figure, FIGURE)
            yield from interval(f"{where}.{metric}.ratio", figure["ratio"], RATIO)
            if len(figure["samples"]) != report["rounds"]:
                yield f"{where}.{metric} has {len(figure['samples'])} samples"
            if where == "plain" and figure["ratio"] is not None:
                yield f"{where}.{metric} is compared with itself"
        yield from interval(f"{where}.added_ns", version["added_ns"], INTERVAL)


def by_name(report, key):
    return {version["name"]: version[key] for version in report["versions"]}


def noted(report, pattern):
    assert any(re.search(pattern, note) for note in report["notes"]), report["notes"]


FACTS = []


def fact(function):
    FACTS.append(function)
    return function

@fact
def a_bench_has_every_figure(bench):
    report = bench.shell("echo out; echo err >&2", rounds=3)
    assert report["alike"] and report["rounds"] == 3, report
    assert report["interval_level"] == 0.75, report["interval_level"]
    for version in report["versions"]:
        watched = version["name"] in ("off", "sampled", "full")
        assert version["cpu_s"]["median"] > 0 and version["peak_rss_bytes"]["median"] > 1e5
        assert version["allocations"] > 0, "plain makes the calls that Coroner counted"
        for key in ("check_pause_s", "check_s", "report_s", "leaked_blocks", "processes"):
            assert (version[key] is not None) == watched, (version["name"], key)
    assert by_name(report, "added_ns")["plain"] is None
    assert by_name(report, "added_ns")["full"]["low"] is not None


@fact
def one_round_has_no_interval(bench):
    report = bench.shell("true")
    assert report["interval_level"] is None and report["noisy"] is None
    assert by_name(report, "cpu_s")["full"]["ratio"]["low"] is None
    noted(report, "no intervals")


@fact
def a_failing_program_is_measured_all_the_same(bench):
    report = bench.shell("exit 3")
    assert all(ending == {"code": 3, "signal": None, "alike": True}
               for ending in by_name(report, "exit").values()), by_name(report, "exit")
    noted(report, "the program fails, plain as well: exit status 3")


@fact
def a_killed_program_has_no_allocations(bench):
    report = bench.shell("kill -KILL $$")
    assert {ending["signal"] for ending in by_name(report, "exit").values()} == {9}
    assert set(by_name(report, "allocations").values()) == {None}
    assert by_name(report, "added_ns")["full"] is None
    noted(report, "allocations are unknown")


@fact
def every_run_reads_the_same_input(bench):
    text = "line\n" * 30000
    report = bench.shell('[ "$(wc -c)" = 150000 ]', stdin=text)
    assert {ending["code"] for ending in by_name(report, "exit").values()} == {0}
    assert report["program"]["stdin_bytes"] == 150000
    report = bench.report("cat", stdin=text)
    assert report["alike"] and set(by_name(report, "stdout_alike").values()) == {True}


@fact
def without_input_it_reads_nothing(bench):
    script = "read word; [ $? = 1 ]"
    for stdin in (subprocess.DEVNULL, None):
        if stdin is None:
            main, stdin = pty.openpty()
        process = bench.start("-n1", "-fjson", "sh", "-c", script, stdin=stdin)
        report = checked(process.communicate(timeout=SECONDS_EACH)[0])
        assert by_name(report, "exit")["full"]["code"] == 0, "a terminal is not read"
    os.close(main)
    os.close(stdin)


@fact
def output_that_varies_by_itself_is_not_compared(bench):
    report = bench.shell("echo $$; echo same >&2")
    assert report["alike"] and set(by_name(report, "stdout_alike").values()) == {None}
    assert set(by_name(report, "stderr_alike").values()) == {True}
    noted(report, "standard output differs from run to run by itself")


@fact
def another_exit_status_under_coroner_is_told(bench):
    report = bench.shell('[ -z "$CORONER_SESSION" ] || exit 4', status=1)
    assert not report["alike"]
    endings = by_name(report, "exit")
    assert endings["jemalloc"]["alike"] and not endings["off"]["alike"]
    noted(report, "Coroner full ends otherwise than plain in 2 of 2 runs: exit status 4")


@fact
def another_output_under_coroner_is_told(bench):
    report = bench.shell('echo one >&2; echo "${CORONER_SESSION:+two}" >&2', status=1)
    assert by_name(report, "stderr_alike") == {
        "plain": True, "jemalloc": True, "off": False, "sampled": False, "full": False}
    noted(report, r'standard error of Coroner off .* from line 2 on: "two", not ""')


@fact
def what_the_allocator_changes_is_not_laid_at_our_door(bench):
    report = bench.shell('echo "${LD_PRELOAD:+preloaded}"', status=1)
    noted(report, "it shows the allocator, not Coroner")


@fact
def a_leak_is_counted_and_changes_nothing(bench):
    case = bench.build / "tests/cases/gcc-O0/lost"
    report = bench.report(case)
    assert by_name(report, "leaked_blocks")["full"] > 0
    assert {ending["code"] for ending in by_name(report, "exit").values()} == {0}
    assert report["alike"]


@fact
def every_process_is_counted(bench):
    report = bench.shell("(sh -c :; :); (:); :")
    assert by_name(report, "processes")["full"] >= 3, by_name(report, "processes")
    alone = bench.shell(":")
    assert by_name(report, "allocations")["full"] > by_name(alone, "allocations")["full"]


@fact
def options_of_coroner_are_heeded(bench):
    environment = {**bench.environment, "CORONER_OPTIONS": "follow_children=no:stacks=off"}
    report = bench.shell("sh -c :; :", env=environment)
    assert by_name(report, "processes")["full"] == 1


@fact
def mistakes_cost_one_line(bench):
    for words, status, pattern in (
            (["-n", "0", "true"], 2, "--rounds '0'"),
            (["-n", "seven", "true"], 2, "--rounds 'seven'"),
            (["-n", "201", "true"], 2, "give 1 to 200"),
            (["-n"], 2, "needs a value"),
            (["-f", "xml", "true"], 2, "give text, json or html"),
            (["--stacks=full", "true"], 2, "no option of bench"),
            ([], 2, "bench what"),
            (["-o", "/no/such/place", "true"], 2, "cannot write"),
            (["/sbin/ldconfig"], 2, "statically linked; there is nothing to measure"),
            (["/no/such/program"], 127, "not found"),
            (["no-such-program"], 127, "not found"),
            (["/etc/passwd"], 126, "cannot be executed")):
        out, err = bench.run(*words, status=status)
        assert out == "" and err.count("\n") == 1 and err.startswith("coroner: "), (words, err)
        assert pattern in err, (words, err)


@fact
def a_preload_that_is_there_already_is_a_mistake(bench):
    environment = {**bench.environment, "LD_PRELOAD": str(bench.build / "libcoroner.so")}
    out, err = bench.run("true", status=2, env=environment)
    assert out == "" and "no run would be plain: unset it" in err, err


@fact
def help_tells_of_every_option(bench):
    out, err = bench.run("--help")
    assert err == "" and all(word in out for word in ("--rounds", "--format", "--output", "html"))


@fact
def text_is_neat(bench):
    out, err = bench.run("-n", 3, "sh", "-c", "exit 0")
    assert err == "", err
    for label in ("plain", "jemalloc", "Coroner off", "Coroner sampled", "Coroner full"):
        assert len(re.findall(f"^{label}  ", out, re.MULTILINE)) >= 2, (label, out)
    assert not re.search(r"[ \t]$", out, re.MULTILINE), "blanks at the end of a line"
    assert "Output and exit status are the same in all versions." in out
    long_lines = [line for line in out.splitlines()
                  if len(line) > 110 and not line.startswith("coroner: ")]
    assert not long_lines, long_lines


@fact
def a_report_goes_where_it_is_sent(bench):
    out, err = bench.run("-n1", "-fjson", "-o", "report.json", "true")
    assert out == "" and err == ""
    checked((bench.work / "report.json").read_text(encoding="utf-8"))


class Page(html.parser.HTMLParser):
    """What a page would load, its data, and its tables."""

    def __init__(self):
        super().__init__()
        self.loads, self.rows, self.data, self.is_data, self.tags = [], 0, "", False, set()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.add(tag)
        self.loads += [attributes[key] for key in ("src", "href", "srcset", "action", "data")
                       if key in attributes]
        self.is_data = tag == "script" and attributes.get("type") == "application/json"
        self.rows += tag == "th" and attributes.get("scope") == "row"

    def handle_data(self, data):
        if self.is_data:
            self.data += data


@fact
def a_page_stands_alone(bench):
    script = "echo '</script><b>'; : \"&amp;\" http://example.org"
    bench.run("-n3", "--format=html", "--output=page.html", "sh", "-c", script)
    text = (bench.work / "page.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    page.close()
    assert page.loads == [] and "b" not in page.tags, (page.loads, page.tags)
    assert not page.tags & {"link", "img", "iframe", "object", "embed"}, page.tags
    assert "default-src 'none'" in text and "@import" not in text.partition("<script")[0]
    assert page.rows == 2 * len(VERSIONS), page.rows
    report = checked(page.data)
    assert report["program"]["argv"][2] == script
    assert "{{" not in text.partition("<script>")[0]


@fact
def an_interruption_reports_what_there_is(bench):
    process = bench.start("-n200", "-fjson", "sh", "-c", "sleep 0.03")
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=SECONDS_EACH)
    report = checked(out)
    assert process.returncode == 130 and err == "", (process.returncode, err)
    assert report["interrupted"] == signal.SIGINT and report["rounds"] < 200
    noted(report, "^interrupted ")


@fact
def an_interruption_ends_the_run_that_goes_on(bench):
    process = bench.start("-fjson", "sleep", "600")
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=SECONDS_EACH)
    report = checked(out)
    assert process.returncode == 128 + signal.SIGTERM and report["rounds"] == 0
    noted(report, "nothing was measured")


@fact
def a_terminal_shows_how_far_it_is(bench):
    main, terminal = pty.openpty()
    process = subprocess.Popen([str(bench.build / "coroner"), "bench", "-n2", "true"],
                               env=bench.environment, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=terminal)
    os.close(terminal)
    shown = b""
    while select.select([main], [], [], SECONDS_EACH)[0]:
        try:
            shown += os.read(main, 4096)
        except OSError: # the other side is closed
            break
    assert process.wait(SECONDS_EACH) == 0
    os.close(main)
    for words in (b"warm-up, plain", b"round 1 of 2, jemalloc",
                  b"round 2 of 2, Coroner full; about"):
        assert words in shown, shown
    assert b"\n" not in shown and shown.endswith(b"\r\x1b[K"), "it is one line, and it goes away"


def main():
    parser = argparse.ArgumentParser(description="Checks `coroner bench`.")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    facts = [function for function in FACTS
             if not options.names or any(re.search(name, function.__name__)
                                         for name in options.names)]
    failed = 0
    for function in facts:
        with tempfile.TemporaryDirectory(prefix="coroner-bench-command-") as work:
            bench = Bench(options.build.resolve(), pathlib.Path(work))
            try:
                function(bench)
                left = list(bench.temporary.iterdir())
                assert not left, f"it left {left}"
            except (AssertionError, ValueError, subprocess.TimeoutExpired) as wrong:
                print(f"FAILED {function.__name__}: {wrong}")
                failed += 1
    print(f"{len(facts) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not facts else 0


if __name__ == "__main__":
    sys.exit(main())
