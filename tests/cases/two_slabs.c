/*
 * Stacks of coroutines are carved in turn from slabs of malloc.  When a slab is freed, the coroutines
 * on it are gone, and those on the other are not; also when it has grown by realloc before.  What lies
 * there afterwards may be a slab again.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE free
 * EXPECT: abandoned  blocks=8 bytes=2664 allocated_in=work
 * EXPECT: lost       total_blocks=8 allocated_in=work
 * EXPECT: summary    coroutines.destroyed=8 coroutines.seen=16
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE again
 * EXPECT: abandoned  blocks=16 bytes=5328 allocated_in=work
 * EXPECT: lost       total_blocks=8 allocated_in=work
 * EXPECT: summary    coroutines.destroyed=8 coroutines.seen=24
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE resize
 * EXPECT: abandoned  blocks=8 bytes=2664 allocated_in=work
 * EXPECT: lost       total_blocks=10 allocated_in=work
 * EXPECT: summary    coroutines.destroyed=10 coroutines.seen=18
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { EACH = 8, SLABS = 2, ONE = 65536, MANY = 64, WORK_BYTES = 333 };

GLOBAL char *slabs[SLABS];
GLOBAL ucontext_t scheduler;
static ucontext_t contexts[SLABS][MANY];

NOINLINE static void work(void *unused)
{
    (void)unused;
    char *volatile block = malloc(WORK_BYTES);
    fill(block, WORK_BYTES);
    ucontext_t here;
    swapcontext(&here, &scheduler);
    fill(block, 1);
}

NOINLINE static void start(int slab, int at)
{
    /* Not at its start: its owner's pointer would be a handle. */
    char *stack = slabs[slab] + (size_t)(at + 1) * ONE;
    coroutine_make(&contexts[slab][at], stack, ONE, NULL, work, NULL);
    swapcontext(&scheduler, &contexts[slab][at]);
}

NOINLINE static void start_all(int first, int last)
{
    for (int at = 0; at < EACH; at++)
        for (int slab = first; slab <= last; slab++)
            start(slab, at);
    memset(contexts, 0, sizeof contexts);
    memset(&scheduler, 0, sizeof scheduler);
}

NOINLINE static void slab_resize(int slab)
{
    start(slab, MANY / 2);
    slabs[slab] = realloc(slabs[slab], (size_t)3 * MANY * ONE);
    start(slab, MANY - 1);
    free(slabs[slab]);
    slabs[slab] = NULL;
}

int main(int count, char **arguments)
{
    (void)count;
    for (int slab = 0; slab < SLABS; slab++)
        slabs[slab] = malloc((size_t)MANY * ONE);
    start_all(0, SLABS - 1);
    if (said(arguments, "resize")) {
        slab_resize(0);
    } else {
        free(slabs[0]);
        slabs[0] = NULL;
    }
    if (said(arguments, "again")) {
        /* Empty: it may begin a few lines higher, and old frames lie between the new ones then. */
        slabs[0] = calloc(MANY, ONE);
        start_all(0, 0);
    }
    memset(contexts, 0, sizeof contexts);
    memset(&scheduler, 0, sizeof scheduler);
    wipe();
    return 0;
}
