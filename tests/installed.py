#!/usr/bin/python3
"""Installs a build and uses it as a stranger would.

    installed.py [--build DIR]

Compiles with what pkg-config says, by gcc and clang, as C11 to C++20 with warnings as errors; runs
programs without the shim, preloaded and linked; and runs each program of probes/README.md: the lines
of the `text` block that follows one must be in what it prints.  Ends with `N passed, N failed, N
skipped`.
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(__file__).resolve().parent.parent
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
COMPILERS = {"c": ["gcc", "clang"], "cpp": ["g++", "clang++"]}
STANDARDS = {"c": ["c11", "c17"], "cpp": ["c++17", "c++20"]}

USES_HEADER = """
#include <coroner/coroner.h>
#include <stdio.h>
int main(void)
{
    coroner_scope scope = coroner_scope_begin("request");
    coroner_co co = coroner_co_begin("fetch", &scope, sizeof scope);
    coroner_co_suspend(co);
    coroner_co_destroy(co);
    printf("%d %d\\n", coroner_is_active(), (int)coroner_scope_end(scope, CORONER_REPORT));
    return 0;
}
"""
USES_ADAPTER = """
#include <coroner/coroner.hpp>
#include <cstdio>
int main()
{
    coroner::scope scope("request");
    coroner::disabled disabled;
    coroner::local<int *> none("none");
    std::printf("%d %d\\n", coroner_is_active(), static_cast<int>(scope.end(CORONER_REPORT)));
}
"""
USES_LIBRARY = """
#include <stdint.h>
#include <stdio.h>
int coroner_ffi_is_active(void);
uint64_t coroner_ffi_scope_begin(const char *name);
size_t coroner_ffi_scope_end(uint64_t scope, unsigned flags);
int main(void)
{
    uint64_t scope = coroner_ffi_scope_begin("request");
    printf("%d %d\\n", coroner_ffi_is_active(), (int)coroner_ffi_scope_end(scope, 1));
    return 0;
}
"""


class Tree:
    """An installed tree, a place to work in, and the tally."""

    def __init__(self, build, work):
        self.work = work
        self.prefix = work / "prefix"
        self.passed = self.failed = self.skipped = 0
        subprocess.run(["cmake", "--install", str(build), "--prefix", str(self.prefix)],
                       check=True, stdout=subprocess.DEVNULL)
        self.shim = next(self.prefix.rglob("libcoroner.so"))
        self.command = self.prefix / "bin" / "coroner"
        pc = next(self.prefix.rglob("coroner.pc")).parent
        self.env = {"PATH": f"{self.prefix}/bin:{os.environ.get('PATH', '/usr/bin:/bin')}",
                    "PKG_CONFIG_PATH": str(pc), "LC_ALL": "C.UTF-8"}

    def flags(self, module, *words):
        said = subprocess.run(["pkg-config", *words, module], env=self.env, check=True,
                              capture_output=True, text=True)
        return said.stdout.split()

    def say(self, name, wrong):
        if wrong:
            print(f"FAILED {name}: {wrong}")
            self.failed += 1
        else:
            self.passed += 1

    def compile(self, text, language, flags, libraries=()):
        """Answers (program, None), or (None, what the compiler said)."""
        source = self.work / f"main.{language}"
        source.write_text(text, encoding="utf-8")
        program = self.work / "program"
        program.unlink(missing_ok=True)
        done = subprocess.run([*flags, "-g", "-pthread", source.name, "-o", str(program),
                               *libraries], cwd=self.work, env=self.env, capture_output=True,
                              text=True, check=False)
        return (program, None) if done.returncode == 0 else (None, done.stderr[:600])

    def run(self, words, **more):
        done = subprocess.run([str(word) for word in words], cwd=self.work,
                              env={**self.env, **more}, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, done.stdout, done.stderr

    def run_three_ways(self, name, program):
        """Without the shim, preloaded, and by the command."""
        for way, words, more, wanted in (
                ("alone", [program], {}, "0 0\n"),
                ("preloaded", [program], {"LD_PRELOAD": str(self.shim)}, "1 0\n"),
                ("run", [self.command, "run", "--", program], {}, "1 0\n")):
            status, out, err = self.run(words, **more)
            wrong = (status, out) != (0, wanted) or (way == "alone" and err != "")
            self.say(f"{name} {way}", f"status {status}, {out!r}, {err[:200]!r}" if wrong else None)


def header_facts(tree):
    cflags = tree.flags("coroner", "--cflags")
    for language, text in (("c", USES_HEADER), ("cpp", USES_HEADER), ("cpp", USES_ADAPTER)):
        for compiler in COMPILERS[language]:
            if shutil.which(compiler) is None:
                tree.skipped += 1
                continue
            for standard in STANDARDS[language]:
                for more in ([], ["-O2"], ["-no-pie", "-fno-pie"], ["-DCORONER_DISABLED"]):
                    name = " ".join([compiler, standard, *more])
                    program, error = tree.compile(
                        text, language, [compiler, f"-std={standard}", *WARNINGS, *more, *cflags])
                    if error is not None:
                        tree.say(name, error)
                    elif "-DCORONER_DISABLED" in more:
                        tree.say(name, None if tree.run([program])[1] == "0 0\n" else "it runs on")
                    elif standard == STANDARDS[language][0]:
                        tree.run_three_ways(name, program)
                    else:
                        tree.say(name, None)


def linked_facts(tree):
    """The shim linked instead of preloaded, past a linker that drops what only weak symbols need."""
    libraries = tree.flags("coroner-shim", "--libs")
    for more in ([], ["-Wl,--as-needed"], ["-no-pie", "-fno-pie"]):
        program, error = tree.compile(USES_HEADER, "c", [
            "gcc", *WARNINGS, *more, *tree.flags("coroner-shim", "--cflags")], libraries)
        status, out, err = tree.run([program]) if error is None else (None, "", error)
        wrong = (status, out) != (0, "1 0\n") or "no leaks" not in err
        tree.say(f"linked {more}", f"status {status}, {out!r}, {err!r}" if wrong else None)


def library_facts(tree):
    for more in ([], ["-no-pie", "-fno-pie"]):
        program, error = tree.compile(USES_LIBRARY, "c", ["gcc", *WARNINGS, *more],
                                      tree.flags("coroner", "--libs"))
        if error is not None:
            tree.say(f"library {more}", error)
        else:
            tree.run_three_ways(f"library {more}", program)


def readme_facts(tree):
    text = (TOP / "probes" / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(c|cpp)\n(.*?)^```\n+```text\n(.*?)^```", text,
                        re.MULTILINE | re.DOTALL)
    for language, program_text, wanted in blocks:
        name = "README: " + (wanted.strip().splitlines() or ["?"])[0]
        standard = STANDARDS[language][-1]
        for compiler in COMPILERS[language]:
            if shutil.which(compiler) is None:
                tree.skipped += 1
                continue
            program, error = tree.compile(program_text, language, [
                compiler, f"-std={standard}", *WARNINGS, *tree.flags("coroner", "--cflags")])
            if error is not None:
                tree.say(f"{name} {compiler}", error)
                continue
            status, out, err = tree.run([tree.command, "run", "--error-exitcode=0", "--", program])
            said = re.sub(r"\s+", " ", (out + err).replace(f"{tree.work}/", ""))
            missing = [line for line in wanted.splitlines()
                       if re.sub(r"\s+", " ", line.strip()) not in said]
            if status != 0:
                missing.append(f"status {status}")
            tree.say(f"{name} {compiler}", f"{missing} is not in {said}" if missing else None)
            status, _, err = tree.run([program])
            tree.say(f"{name} {compiler} alone", err if status != 0 or err else None)
    if len(blocks) < 5:
        tree.say("README", f"it has only {len(blocks)} programs with their output")


def main():
    parser = argparse.ArgumentParser(description="Uses an installed tree.")
    parser.add_argument("--build", type=pathlib.Path, default=TOP / "build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="coroner-installed-") as work:
        tree = Tree(options.build.resolve(), pathlib.Path(work))
        header_facts(tree)
        linked_facts(tree)
        library_facts(tree)
        readme_facts(tree)
    print(f"{tree.passed} passed, {tree.failed} failed, {tree.skipped} skipped")
    return 1 if tree.failed else 0


if __name__ == "__main__":
    sys.exit(main())
