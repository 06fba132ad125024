/*
 * A program that was written for LeakSanitizer's interface finds it in Coroner, and it means the
 * same: __lsan_do_leak_check ends the process where there is a leak and is its last check where
 * there is none; the recoverable check says what it finds and goes on; what is disabled, ignored
 * or held by a root region is no leak.
 *
 * BUILD: linked
 * RUN:    coroner run --format=json --output=report.json $CASE fatal
 * EXPECT: lost       blocks=1 bytes=300 allocated_in=make_block
 * EXPECT: stdout-lines 0
 * EXPECT: process    exit.code=23
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM $CASE fatal
 * EXPECT: stdout-lines 0
 * EXPECT: stderr     /300 bytes in 1 block, lost/
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=error_exitcode=0 $CASE fatal
 * EXPECT: stdout     /^on$/
 * EXPECT: stderr     /300 bytes in 1 block, lost/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fatal twin
 * EXPECT: none
 * EXPECT: stdout     /^on$/
 * EXPECT: exit       status=0
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json $CASE fatal twin
 * EXPECT: none
 * EXPECT: stdout     /^on$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE recoverable
 * EXPECT: lost       blocks=1 bytes=300 allocated_in=make_block
 * EXPECT: stdout     /^leaks 1\nleaks 1\non$/
 * EXPECT: stderr     /make_block(.|\n)*make_block/
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE recoverable twin
 * EXPECT: none
 * EXPECT: stdout     /^leaks 0\nleaks 0\non$/
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE freed
 * EXPECT: none
 * EXPECT: stdout     /^leaks 1\nleaks 0\non$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE disabled
 * EXPECT: lost       blocks=1 bytes=301 allocated_in=make_block
 * EXPECT: exit       status=23
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json $CASE disabled twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ignored
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json $CASE ignored
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE region
 * EXPECT: lost       blocks=1 bytes=304 indirect_blocks=0
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM LSAN_OPTIONS=use_root_regions=0 \
 *         CORONER_OPTIONS=format=json:output=report.json $CASE region
 * EXPECT: lost       blocks=1 bytes=304 indirect_blocks=1 indirect_bytes=300
 * EXPECT: exit       status=23
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json $CASE region twin
 * EXPECT: lost       blocks=1 bytes=304 indirect_blocks=1 indirect_bytes=300
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE child
 * EXPECT: stdout     /^child 23$/
 * EXPECT: lost       in=child blocks=1 bytes=300 allocated_in=make_block
 * EXPECT: exit       status=23
 * LIVE:   none # the child asks for its last check itself, in that call
 */
#include "case.h"
#include "lsan.h"

#include <sys/wait.h>

GLOBAL char *volatile kept;

NOINLINE static char *make_block(size_t bytes)
{
    char *block = malloc(bytes);
    fill(block, bytes);
    return block;
}

NOINLINE static void lose_or_keep(bool is_twin)
{
    char *block = make_block(300);
    if (is_twin)
        kept = block;
}

NOINLINE static void disable_and_lose(bool is_twin)
{
    __lsan_disable();
    __lsan_disable();
    make_block(300);
    __lsan_enable();
    make_block(302);
    __lsan_enable();
    kept = make_block(301);
    if (!is_twin)
        kept = NULL;
}

/* The region is itself lost; what it leads to is not, while it is registered. */
NOINLINE static void register_region(bool is_twin)
{
    char **region = malloc(304);
    fill(region, 304);
    region[0] = make_block(300);
    __lsan_register_root_region(region, 304);
    if (is_twin)
        __lsan_unregister_root_region(region, 304);
}

NOINLINE static uintptr_t lose_for_a_while(void)
{
    return hide(make_block(300));
}

static void check_twice(uintptr_t to_free)
{
    for (int i = 0; i < 2; i++) {
        printf("leaks %d\n", __lsan_do_recoverable_leak_check());
        free(to_free != 0 ? unhide(to_free) : NULL);
        to_free = 0;
        wipe();
    }
}

static void check_in_child(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        lose_or_keep(false);
        wipe();
        __lsan_do_leak_check();
        _exit(1);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    printf("child %d\n", WEXITSTATUS(status));
}

int main(int argc, char **argv)
{
    bool is_twin = said(argv, "twin");
    (void)argc;
    setvbuf(stdout, NULL, _IONBF, 0);
    if (said(argv, "fatal") || said(argv, "recoverable"))
        lose_or_keep(is_twin);
    if (said(argv, "disabled"))
        disable_and_lose(is_twin);
    if (said(argv, "ignored"))
        __lsan_ignore_object(make_block(300) + 100);
    if (said(argv, "region"))
        register_region(is_twin);
    wipe();
    if (said(argv, "recoverable"))
        check_twice(0);
    if (said(argv, "freed")) {
        uintptr_t hidden = lose_for_a_while();
        wipe(); /* the next frame would else lie where malloc's was, and have a hole there */
        check_twice(hidden);
    }
    if (said(argv, "child")) {
        check_in_child();
        return 0;
    }
    if (said(argv, "fatal")) {
        __lsan_do_leak_check();
        kept = NULL;
        wipe();
        __lsan_do_leak_check();
    }
    if (said(argv, "fatal") || said(argv, "recoverable") || said(argv, "freed"))
        puts("on");
    wipe();
    return 0;
}
