/*
 * A program that was written for gperftools' HeapLeakChecker goes on with coroner's header: each
 * checker judges what was allocated since it was made.
 *
 * FLAGS:  -std=c++17 -Wpedantic
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=330
 * EXPECT: stdout     /^active\nclean 1 0 0\ndisabled 1 0 0\nignored 1 0 0\nnested 1 0 0\nleaky 0 330 1\nsame 0\nglobal 0$/
 * EXPECT: stderr     /make_block/
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM $CASE cancel
 * EXPECT: stdout     /^active\n(.*\n)*leaky 0 330 1\n/
 * EXPECT: exit       status=0
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: stdout     /\nleaky 1 0 0\nsame 1\nglobal 1$/
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    $CASE
 * EXPECT: stdout     /^not active\n(.*\n)*leaky 1 0 0\nsame 1\nglobal 1$/
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 */
#include "case.h"
#include "coroner/compat/heap-checker.h"

GLOBAL char *volatile kept;
GLOBAL HiddenPointer<char> *hidden;

NOINLINE static char *make_block(size_t bytes)
{
    char *block = static_cast<char *>(malloc(bytes));
    fill(block, bytes);
    return block;
}

NOINLINE static void say(const char *what, HeapLeakChecker &checker)
{
    wipe();
    int is_clean = checker.NoLeaks();
    printf("%s %d %td %td\n", what, is_clean, checker.BytesLeaked(), checker.ObjectsLeaked());
}

NOINLINE static void check_clean()
{
    HeapLeakChecker checker("clean");
    free(make_block(331));
    say("clean", checker);
}

NOINLINE static void check_disabled()
{
    HeapLeakChecker checker("disabled");
    {
        HeapLeakChecker::Disabler disabler;
        make_block(332);
    }
    say("disabled", checker);
}

NOINLINE static void check_ignored()
{
    HeapLeakChecker checker("ignored");
    HeapLeakChecker::IgnoreObject(make_block(333));
    say("ignored", checker);
}

NOINLINE static void lose_or_keep(bool is_twin)
{
    kept = make_block(330);
    if (!is_twin)
        kept = nullptr;
}

NOINLINE static void check_leaky(bool is_twin)
{
    HeapLeakChecker checker("leaky");
    {
        HeapLeakChecker inner("nested");
        say("nested", inner);
    }
    lose_or_keep(is_twin);
    wipe();
    say("leaky", checker);
    printf("same %d\n", checker.SameHeap());
}

int main(int argc, char **argv)
{
    (void)argc;
    setvbuf(stdout, nullptr, _IONBF, 0);
    puts(HeapLeakChecker::IsActive() ? "active" : "not active");
    check_clean();
    check_disabled();
    check_ignored();
    check_leaky(said(argv, "twin"));
    wipe();
    printf("global %d\n", HeapLeakChecker::NoGlobalLeaks());
    if (said(argv, "cancel"))
        HeapLeakChecker::CancelGlobalCheck();
    wipe();
    return 0;
}
