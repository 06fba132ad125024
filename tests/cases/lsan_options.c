/*
 * LSAN_OPTIONS means here what it means to LeakSanitizer, under `coroner run` and under a plain
 * preload; Coroner's own options override it key by key, and a bad value is one line.
 *
 * BUILD: once
 * RUN:    LSAN_OPTIONS=detect_leaks=0 coroner run --format=json --output=report.json $CASE two
 * EXPECT: none
 * EXPECT: process    summary=null
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=detect_leaks=0 LD_PRELOAD=$SHIM $CASE two
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=detect_leaks=0 CORONER_OPTIONS=detect_leaks=yes LD_PRELOAD=$SHIM $CASE two
 * EXPECT: exit       status=23
 *
 * RUN:    LSAN_OPTIONS=leak_check_at_exit=0 LD_PRELOAD=$SHIM $CASE two
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=leak_check_at_exit=0 coroner run --leak-check-at-exit=yes $CASE two
 * EXPECT: exit       status=23
 *
 * RUN:    LSAN_OPTIONS=exitcode=5 LD_PRELOAD=$SHIM $CASE two
 * EXPECT: exit       status=5
 *
 * RUN:    LSAN_OPTIONS=exitcode=5 coroner run $CASE two
 * EXPECT: exit       status=5
 *
 * RUN:    LSAN_OPTIONS=exitcode=5 coroner run --error-exitcode=6 $CASE two
 * EXPECT: exit       status=6
 *
 * RUN:    LSAN_OPTIONS=exitcode=5 CORONER_OPTIONS=error_exitcode=6 LD_PRELOAD=$SHIM $CASE two
 * EXPECT: exit       status=6
 *
 * RUN:    echo 'leak:make_large' >known; LSAN_OPTIONS="suppressions='known' print_suppressions=1" \
 *         coroner run --format=json --output=report.json $CASE two
 * EXPECT: lost       blocks=1 bytes=320 allocated_in=make_small
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=3200
 *
 * RUN:    echo 'leak:make_large' >known; echo 'leak:make_small' >own; \
 *         LSAN_OPTIONS=suppressions=known \
 *         CORONER_OPTIONS=suppressions=own:format=json:output=report.json \
 *         LD_PRELOAD=$SHIM $CASE two
 * EXPECT: lost       blocks=1 bytes=3200 allocated_in=make_large
 *
 * RUN:    echo 'leak:make_large' >known; LSAN_OPTIONS=suppressions=known,print_suppressions=1 \
 *         LD_PRELOAD=$SHIM $CASE two
 * EXPECT: stderr     /^coroner: suppressed 3,200 bytes in 1 block by leak:make_large$/
 *
 * RUN:    LSAN_OPTIONS=log_path=log LD_PRELOAD=$SHIM $CASE two; grep -q make_small log.[0-9]*
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=log_path=log coroner run $CASE two; grep -q make_small log.[0-9]*
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=log_path=log coroner run --format=json --output=report.json \
 *         $CASE two; ls log*
 * EXPECT: lost       blocks=2 bytes=3520
 * EXPECT: exit       status=2
 *
 * RUN:    LSAN_OPTIONS=max_leaks=1 coroner run $CASE two
 * EXPECT: stderr     /#1(.|\n)*1 leak more, which --max-leaks leaves out/
 * EXPECT: stdout-lines 0
 * EXPECT: exit       status=23
 *
 * RUN:    LSAN_OPTIONS=max_leaks=1 CORONER_OPTIONS=format=json:output=report.json \
 *         LD_PRELOAD=$SHIM $CASE two
 * EXPECT: lost       blocks=1 bytes=3200 allocated_in=make_large
 * EXPECT: summary    leaked_bytes=3520
 * EXPECT: process    leaks_left_out=1
 *
 * RUN:    LSAN_OPTIONS=report_objects=1 LD_PRELOAD=$SHIM $CASE two
 * EXPECT: stderr     /^ +blocks\n +0x[0-9a-f]+  3,200 bytes$/
 *
 * RUN:    LSAN_OPTIONS=report_objects=1 coroner run -f json -o report.json $CASE two; \
 *         grep -Ec '"objects": \[\{"address": "0x[0-9a-f]+", "bytes": 32' report.json
 * EXPECT: stdout     2
 *
 * RUN:    LSAN_OPTIONS=malloc_context_size=1 LD_PRELOAD=$SHIM $CASE two 2>said; \
 *         grep -q make_small said && ! grep -q 'main ' said
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=malloc_context_size=1 coroner run --malloc-context-size=2 \
 *         $CASE two 2>said; \
 *         grep -q 'main ' said
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE global
 * EXPECT: none
 *
 * RUN:    LSAN_OPTIONS=use_globals=0 coroner run --format=json --output=report.json $CASE global
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_block
 *
 * RUN:    coroner run --format=json --output=report.json $CASE stack
 * EXPECT: none
 *
 * RUN:    LSAN_OPTIONS=use_stacks=0 coroner run --format=json --output=report.json $CASE stack
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_block
 *
 * RUN:    LSAN_OPTIONS=use_stacks=0 coroner run --format=json --output=report.json $CASE variable
 * EXPECT: none
 *
 * RUN:    LSAN_OPTIONS=use_tls=0 coroner run --format=json --output=report.json $CASE variable
 * EXPECT: lost       blocks=2 bytes=642 allocated_in=make_block
 *
 * RUN:    LSAN_OPTIONS=use_tls=0 CORONER_OPTIONS=use_tls=yes coroner run -f json -o report.json \
 *         $CASE variable
 * EXPECT: none
 *
 * RUN:    coroner run --format=json --output=report.json $CASE register
 * EXPECT: none
 *
 * RUN:    LSAN_OPTIONS=use_registers=0 coroner run --format=json --output=report.json \
 *         $CASE register
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_block
 *
 * RUN:    coroner run --format=json --output=report.json $CASE unaligned
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_block confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=use_unaligned=0 coroner run --format=json --output=report.json \
 *         $CASE unaligned
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_block confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    LSAN_OPTIONS=use_unaligned=1 CORONER_OPTIONS=format=json:output=report.json \
 *         LD_PRELOAD=$SHIM $CASE unaligned
 * EXPECT: none
 *
 * RUN:    LSAN_OPTIONS=verbosity=1:fast_unwind_on_malloc=0:nobody_knows_this=x \
 *         LD_PRELOAD=$SHIM $CASE
 * EXPECT: stderr-lines 1
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=exitcode=many:use_tls=perhaps:verbosity=loud LD_PRELOAD=$SHIM $CASE
 * EXPECT: stderr     /exitcode.*many.*\n.*use_tls.*perhaps.*\n.*verbosity.*loud/
 * EXPECT: stderr-lines 4
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=exitcode=many coroner run $CASE
 * EXPECT: stderr     /exitcode.*many/
 * EXPECT: stderr-lines 2
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

GLOBAL char *volatile global;
GLOBAL char *volatile packed;
static __thread char *volatile variable;
static volatile int is_ready;
static uintptr_t hidden;

NOINLINE static void make_small(void)
{
    fill(malloc(320), 320);
}

NOINLINE static void make_large(void)
{
    fill(malloc(3200), 3200);
}

NOINLINE static char *make_block(void)
{
    char *block = malloc(321);
    fill(block, 321);
    return block;
}

/* A live block that holds a pointer at an odd address. */
NOINLINE static void make_unaligned(void)
{
    char *block = make_block();
    packed = malloc(64);
    memset(packed, 0, 64);
    memcpy(packed + 1, &block, sizeof block);
}

/* Keeps the block in one register and nowhere else, for ever. */
static void *hold_in_register(void *unused)
{
    (void)unused;
    __asm__ volatile("mov %0, %%r12\n not %%r12\n movl $1, %1\n 1: pause\n jmp 1b"
                     :
                     : "m"(hidden), "m"(is_ready)
                     : "r12", "memory");
    return NULL;
}

static void *hold_in_variable(void *unused)
{
    (void)unused;
    variable = make_block();
    wipe();
    is_ready = 1;
    for (;;)
        pause();
    return NULL;
}

NOINLINE static void start(void *(*function)(void *))
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, function, NULL) == 0);
    while (!is_ready)
        usleep(1000);
}

int main(int argc, char **argv)
{
    char *volatile local = NULL;
    (void)argc;
    if (said(argv, "two")) {
        make_small();
        make_large();
    }
    if (said(argv, "global"))
        global = make_block();
    if (said(argv, "stack"))
        local = make_block();
    if (said(argv, "variable")) {
        variable = make_block();
        start(hold_in_variable);
    }
    if (said(argv, "register")) {
        hidden = hide(make_block());
        start(hold_in_register);
    }
    if (said(argv, "unaligned"))
        make_unaligned();
    wipe();
    if (local != NULL)
        exit(0); /* while this frame is there */
    return 0;
}
