#!/usr/bin/python3
"""Asks LeakSanitizer and Memcheck the questions that the cases ask Coroner.

    peers/run.py [--build DIR] [--markdown FILE] [NAME…]

A row is one run of a case that names a leak by the function that allocated it, or that must be
silent.  LeakSanitizer answers on a clang -O0 build with -fsanitize=leak; Memcheck on the gcc -O0 build;
Coroner, when it is built, on the same one.  The answers:

    right    the leak is reported, or the live twin is not
    missed   the leak is not reported
    false    a block that is still in use is reported
    died     the tool or the program under it did not end by itself

A table of answers is no pass or fail: it says who can see what.
"""
import argparse
import collections
import os
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

SECONDS_EACH = 120
Row = collections.namedtuple("Row", "case arguments truth function")


def rows(patterns):
    """The runs that can be put to a peer: a plain `coroner run … $CASE arguments` line."""
    for case in case_file.read_all():
        if case.once or patterns and not any(re.search(one, case.name) for one in patterns):
            continue
        for run in case.runs:
            if not re.fullmatch(r"coroner run [^;|&]*\$CASE[^;|&]*", run.command):
                continue
            leaks = [expect for expect in run.expects if "allocated_in=" in expect]
            if not leaks and "none" not in run.expects:
                continue
            # The first leak named is what the row is about; the rest comes with it.
            function = re.search(r"allocated_in=(\S+)", leaks[0])[1] if leaks else None
            yield Row(case, run.words_after_case(), leaks[0].split()[0] if leaks else "live",
                      function)


def judge(row, reported):
    """`reported` is the set of functions whose blocks the tool called leaked."""
    if row.function is None:
        return "false" if reported else "right"
    return "right" if row.function in reported else "missed"


def run(argv, env=None):
    """Answers what a tool wrote to standard error, or None when it died."""
    try:
        done = subprocess.run(argv, env={**os.environ, **(env or {})}, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=SECONDS_EACH, check=False)
    except subprocess.TimeoutExpired:
        return None
    return None if done.returncode < 0 else done.stderr.decode(errors="replace")


def functions_of(stacks, own):
    """The functions of the case itself among stacks, each a list of function names."""
    return {name for stack in stacks for name in stack if name in own}


def own_functions(case):
    """Every function defined in a case, in its plugin or in case.h."""
    folder = case.source.parent
    source = "".join(path.read_text(encoding="utf-8") for path in (
        case.source, folder / "case.h", *folder.glob(f"{case.name}.plugin.*")))
    return set(re.findall(r"^[\w\s*]*?\b(\w+)\([^;]*\)\n\{", source, re.MULTILINE))


def ask_lsan(row, build, scratch):
    program = scratch / f"{row.case.name}-lsan"
    if not program.exists():
        compiler = "clang++" if row.case.source.suffix == ".cc" else "clang"
        built = subprocess.run([compiler, "-D_GNU_SOURCE", "-g", "-O0", "-w", "-pthread",
                                "-fsanitize=leak", str(row.case.source), "-o", str(program)],
                               capture_output=True, check=False)
        if built.returncode != 0:
            return "died"
    said = run(arguments(row, program, build))
    if said is None:
        return "died"
    stacks = [re.findall(r"#\d+ 0x[0-9a-f]+ in (\w+)", part)
              for part in re.split(r"(?:Direct|Indirect) leak of", said)[1:]]
    return judge(row, functions_of(stacks, own_functions(row.case)))


def ask_memcheck(row, build, _):
    said = run(["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible",
                "--num-callers=30", *arguments(row, program_of(row, build), build)])
    if said is None or "ERROR SUMMARY" not in said:
        return "died"
    stacks = [re.findall(r"(?:at|by) 0x[0-9A-F]+: (\w+)", part)
              for part in re.split(r"bytes in [\d,]+ blocks are ", said)[1:]]
    return judge(row, functions_of(stacks, own_functions(row.case)))


def ask_coroner(row, build, scratch):
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    run([str(build / "coroner"), "run", "--format=json", f"--output={report}", "--",
         *arguments(row, program_of(row, build), build)])
    if not report.exists():
        return "died"
    seen = case_facts.Seen(0, "", "", scratch)
    leaks = [leak for one in seen.reports() for process in one["processes"]
             for leak in process["leaks"]]
    return judge(row, {case_facts.first_function(leak["alloc_stack"]) for leak in leaks})


def program_of(row, build):
    return build / "tests" / "cases" / "gcc-O0" / row.case.name


def arguments(row, program, build):
    return [str(program), *(word.replace("$CASE", str(program_of(row, build)))
                            for word in row.arguments)]


def main():
    parser = argparse.ArgumentParser(description="Compares Coroner with its peers on the cases.")
    parser.add_argument("patterns", nargs="*", metavar="NAME")
    parser.add_argument("--build", type=pathlib.Path, default=TESTS.parent / "build")
    parser.add_argument("--markdown", type=pathlib.Path, help="also write the table here")
    options = parser.parse_args()
    build = options.build.resolve()
    tools = [("Coroner", build / "coroner", ask_coroner), ("LeakSanitizer", "clang", ask_lsan),
             ("Memcheck", "valgrind", ask_memcheck)]
    tools = [(name, ask) for name, binary, ask in tools if shutil.which(str(binary))]
    table = [["case", "truth", *(name for name, _ in tools)]]
    right = collections.Counter()
    with tempfile.TemporaryDirectory() as scratch:
        for row in rows(options.patterns):
            answers = [ask(row, build, pathlib.Path(scratch)) for _, ask in tools]
            right.update(name for (name, _), answer in zip(tools, answers) if answer == "right")
            words = " ".join(word for word in row.arguments if "$" not in word)
            table.append([f"{row.case.name} {words}".strip(), row.truth, *answers])
            print(f"{table[-1][0]:<36} {table[-1][1]:<16} "
                  + " ".join(f"{name}: {answer:<7}" for (name, _), answer in zip(tools, answers)),
                  flush=True)
    total = len(table) - 1
    table.append(["right", str(total), *(str(right[name]) for name, _ in tools)])
    print("\nright of", total, " ".join(f"{name}: {right[name]}" for name, _ in tools))
    if options.markdown:
        lines = [f"| {' | '.join(line)} |" for line in table]
        lines.insert(1, "| " + " | ".join("---" for _ in table[0]) + " |")
        options.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
