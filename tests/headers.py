#!/usr/bin/python3
"""Compiles every header that programs include by itself, as each standard it is for.

By gcc and clang; warnings are errors, also of -Wpedantic, with and without CORONER_DISABLED.  Those
that stand in for Valgrind's are found by Valgrind's names.  Prints one line per failure, and at the
end `N passed, N failed, N skipped`.
"""
import pathlib
import shutil
import subprocess
import sys

INCLUDE = pathlib.Path(__file__).resolve().parent.parent / "probes" / "include"
COMPAT = INCLUDE / "coroner" / "compat"
FLAGS = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Werror", "-fsyntax-only"]
LANGUAGES = {"c": (("gcc", "clang"), ("c11", "c17", "gnu17")),
             "c++": (("g++", "clang++"), ("c++17", "c++20"))}
CXX_ONLY = ("heap-checker.h",)
# What each is to be good for beside being included.
USES = {
    "heap-checker.h": """
        int *kept;
        REGISTER_HEAPCHECK_CLEANUP(kept, delete kept; kept = nullptr)
        int main()
        {
            HeapLeakChecker checker("all");
            HeapLeakChecker::Disabler disabler;
            const int *object = HeapLeakChecker::IgnoreObject(const_cast<const int *>(kept));
            HeapLeakChecker::UnIgnoreObject(object);
            HiddenPointer<int> hidden(kept);
            HeapLeakChecker::CancelGlobalCheck();
            return checker.NoLeaks() && checker.SameHeap() && checker.QuickNoLeaks() &&
                   checker.BriefNoLeaks() && checker.BytesLeaked() == checker.ObjectsLeaked() &&
                   HeapLeakChecker::NoGlobalLeaks() && hidden.get() == kept;
        }""",
    "memcheck.h": """
        int called(int value);
        int called(int value)
        {
            unsigned long leaked, dubious, reachable, suppressed;
            char area[8] = "";
            unsigned id = VALGRIND_STACK_REGISTER(area, area + sizeof area);
            VALGRIND_STACK_CHANGE(id, area, area + 4);
            VALGRIND_STACK_DEREGISTER(id);
            if (value)
                VALGRIND_DO_LEAK_CHECK;
            else
                VALGRIND_DO_QUICK_LEAK_CHECK;
            VALGRIND_DO_ADDED_LEAK_CHECK;
            VALGRIND_DO_CHANGED_LEAK_CHECK;
            VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed);
            VALGRIND_COUNT_LEAK_BLOCKS(leaked, dubious, reachable, suppressed);
            VALGRIND_MAKE_MEM_DEFINED(area, sizeof area);
            VALGRIND_CHECK_VALUE_IS_DEFINED(value);
            VALGRIND_CREATE_MEMPOOL(area, 0, 0);
            VALGRIND_MEMPOOL_ALLOC(area, area, 4);
            VALGRIND_MALLOCLIKE_BLOCK(area, sizeof area, 0, 0);
            VALGRIND_FREELIKE_BLOCK(area, 0);
            VALGRIND_PRINTF("%d", value);
            VALGRIND_DISABLE_ERROR_REPORTING;
            return RUNNING_ON_VALGRIND || VALGRIND_COUNT_ERRORS != 0 ||
                   VALGRIND_CHECK_MEM_IS_DEFINED(area, sizeof area) != 0 ||
                   VALGRIND_NON_SIMD_CALL1(called, 1) != 0 ||
                   leaked + dubious + reachable + suppressed != 0;
        }""",
}


def failures(header, name, language):
    """Yields (what was tried, None or what the compiler said; False: there is no such compiler)."""
    compilers, standards = LANGUAGES[language]
    text = f"#include <{name}>\n#include <{name}>\n{USES.get(header.name, '')}\n"
    for compiler in compilers:
        for standard in standards:
            for more in ([], ["-DCORONER_DISABLED"]):
                words = [compiler, f"-std={standard}", *more]
                if shutil.which(compiler) is None:
                    yield words, False
                    continue
                done = subprocess.run([*words, *FLAGS, f"-I{COMPAT}", f"-I{INCLUDE}",
                                       "-x", language, "-"], input=text, capture_output=True,
                                      text=True, check=False)
                yield words, done.stderr if done.returncode != 0 else None


def main():
    passed = failed = skipped = 0
    for header in sorted(INCLUDE.rglob("*.h")):
        is_stand_in = header.is_relative_to(COMPAT / "valgrind")
        name = header.relative_to(COMPAT if is_stand_in else INCLUDE)
        for language in ("c++",) if header.name in CXX_ONLY else LANGUAGES:
            for words, said in failures(header, name, language):
                passed += said is None
                skipped += said is False
                failed += bool(said)
                if said:
                    print(f"FAILED {name} {' '.join(words)}: {said[:600]}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
