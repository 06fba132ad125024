/*
 * A program that talks to Valgrind goes on with coroner's headers of the same names: its leak
 * checks are Coroner's, and a stack that it registers is one stack, also where two lie side by
 * side in one mapping and nothing else tells where the one ends and the other begins.
 *
 * FLAGS:  -std=gnu11
 * RUN:    coroner run --format=json --output=report.json $CASE leak
 * EXPECT: lost       blocks=1 bytes=340 allocated_in=make_block
 * EXPECT: stdout     /^bytes 340 0 341 0\nblocks 1 0 1 0$/
 * EXPECT: stderr     /make_block/
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE leak twin
 * EXPECT: none
 * EXPECT: stdout     /^bytes 0 0 681 0\nblocks 0 0 2 0$/
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    $CASE leak
 * EXPECT: stdout     /^bytes 0 0 0 0\nblocks 0 0 0 0$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE stacks
 * EXPECT: abandoned  blocks=1 bytes=342 allocated_in=make_block
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap stacks
 * EXPECT: abandoned  blocks=1 bytes=342 allocated_in=make_block
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap stacks twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE stacks twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"
#include "switches.h"
#include "coroner/compat/valgrind/memcheck.h"

enum { FIBERS = 2 };

GLOBAL char *volatile kept, *volatile dropped, *volatile pool;
GLOBAL struct fiber {
    struct place place;
    unsigned stack_id;
} *fibers[FIBERS];
static struct place main_place;
static struct fiber *running;

NOINLINE static char *make_block(size_t bytes)
{
    char *block = malloc(bytes);
    fill(block, bytes);
    return block;
}

static void begin(void)
{
    char *volatile block = make_block(342);
    go_pushed(&running->place, &main_place);
    kept = block;
}

NOINLINE static void start(struct fiber *fiber, char *stack)
{
    fiber->stack_id = VALGRIND_STACK_REGISTER(stack, stack + STACK_BYTES);
    make_pushed(&fiber->place, (uintptr_t *)(stack + STACK_BYTES));
    running = fiber;
    go_pushed(&main_place, &fiber->place);
}

/* Both stacks in one piece of memory; the second fiber is dropped, unless this is the twin. */
NOINLINE static void make_stacks(bool is_heap, bool is_twin)
{
    pool = is_heap ? heap_stack(FIBERS * STACK_BYTES) : mapped_stack(FIBERS * STACK_BYTES);
    for (int i = 0; i < FIBERS; i++) {
        fibers[i] = calloc(1, sizeof *fibers[i]);
        start(fibers[i], pool + i * STACK_BYTES);
    }
    running = NULL;
    if (!is_twin) {
        free(fibers[1]);
        fibers[1] = NULL;
    }
}

static void count(void)
{
    unsigned long leaked, dubious, reachable, suppressed;
    VALGRIND_DO_LEAK_CHECK;
    VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed);
    printf("bytes %lu %lu %lu %lu\n", leaked, dubious, reachable, suppressed);
    VALGRIND_DO_QUICK_LEAK_CHECK;
    VALGRIND_DO_ADDED_LEAK_CHECK;
    VALGRIND_COUNT_LEAK_BLOCKS(leaked, dubious, reachable, suppressed);
    printf("blocks %lu %lu %lu %lu\n", leaked, dubious, reachable, suppressed);
}

/* What means nothing to Coroner is here all the same, and does nothing. */
static void say_the_rest(void)
{
    char area[16] = "";
    VALGRIND_MAKE_MEM_DEFINED(area, sizeof area);
    (void)VALGRIND_MAKE_MEM_NOACCESS(area, sizeof area);
    REQUIRE(VALGRIND_CHECK_MEM_IS_DEFINED(area, sizeof area) == 0);
    VALGRIND_CREATE_MEMPOOL(area, 0, 0);
    VALGRIND_MEMPOOL_ALLOC(area, area, 8);
    VALGRIND_DESTROY_MEMPOOL(area);
    VALGRIND_PRINTF("%d\n", 1);
    VALGRIND_DISABLE_ERROR_REPORTING;
    REQUIRE(RUNNING_ON_VALGRIND == 0 && VALGRIND_COUNT_ERRORS == 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    setvbuf(stdout, NULL, _IONBF, 0);
    say_the_rest();
    if (said(argv, "stacks"))
        make_stacks(said(argv, "heap"), said(argv, "twin"));
    if (said(argv, "leak")) {
        kept = make_block(341);
        dropped = make_block(340);
        if (!said(argv, "twin"))
            dropped = NULL;
        wipe();
        count();
    }
    wipe();
    return 0;
}
