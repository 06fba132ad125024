/*
 * A suppressions file hides leaks by function (`leak:`), by what the chain goes through (`chain:`)
 * and by coroutine (`coroutine:`), with * and anchors, and what it hides is counted.
 *
 * BUILD: once
 * RUN:    echo 'leak:make_known' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=131 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=130
 * EXPECT: exit       status=23
 *
 * RUN:    printf '# both\n\nleak:^make_*$\n' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    suppressed_blocks=2 suppressed_bytes=261
 * EXPECT: exit       status=0
 *
 * RUN:    echo 'leak:make_known' >a; echo 'leak:make_other' >b; \
 *         coroner run --suppressions=a --suppressions=b --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    echo 'leak:^ake_known' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=130 allocated_in=make_known
 * EXPECT: lost       blocks=1 bytes=131 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=0
 * EXPECT: exit       status=23
 *
 * RUN:    echo 'coroutine:idle_worker' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE worker
 * EXPECT: none
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=132
 * EXPECT: exit       status=0
 *
 * RUN:    echo 'chain:workers' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE worker
 * EXPECT: none
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=132
 * EXPECT: exit       status=0
 *
 * RUN:    echo 'nonsense:make_known' >known; \
 *         coroner run --suppressions=known --format=json --output=report.json $CASE
 * EXPECT: stderr-lines 1
 * EXPECT: exit       status=2
 */
#include "case.h"

GLOBAL ucontext_t scheduler;
GLOBAL struct worker {
    ucontext_t context;
} * workers[1];

NOINLINE static void make_known(void)
{
    fill(malloc(130), 130);
}

NOINLINE static void make_other(void)
{
    fill(malloc(131), 131);
}

NOINLINE static char *make_block(void)
{
    char *block = malloc(132);
    fill(block, 132);
    return block;
}

static void idle_worker(void *unused)
{
    (void)unused;
    LEFTOVER(char *, block);
    *block = make_block();
}

NOINLINE static void run_worker(void)
{
    workers[0] = calloc(1, sizeof *workers[0]);
    coroutine_make(&workers[0]->context, heap_stack(STACK_BYTES), STACK_BYTES, &scheduler,
                   idle_worker, NULL);
    swapcontext(&scheduler, &workers[0]->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "worker")) {
        run_worker();
    } else {
        make_known();
        make_other();
    }
    wipe();
    return 0;
}
