/*
 * Ten thousand suspended coroutines in a list, each with a buffer that only its stack holds.
 * With every tenth one unlinked, a thousand are abandoned.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=10000 coroutines.suspended=10000
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE tenth
 * EXPECT: abandoned  blocks=1000 bytes=48000 allocated_in=make_note suspended_in=sleep_long
 * EXPECT: abandoned  blocks=1000 bytes=16384000 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1000 allocated_in=sleeper_new
 * EXPECT: summary    coroutines.seen=10000 coroutines.suspended=9000 coroutines.abandoned=1000
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { COUNT = 10000, SMALL_STACK = 16384 };

struct sleeper {
    struct sleeper *next;
    ucontext_t context;
};

GLOBAL struct sleeper *sleepers;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_note(void)
{
    char *note = malloc(48);
    fill(note, 48);
    return note;
}

NOINLINE static struct sleeper *sleeper_new(void)
{
    struct sleeper *sleeper = calloc(1, sizeof *sleeper);
    REQUIRE(sleeper != NULL);
    return sleeper;
}

static void sleep_long(void *argument)
{
    struct sleeper *self = argument;
    char *volatile note = make_note();
    swapcontext(&self->context, &scheduler);
    free(note);
}

NOINLINE static void start(bool keep)
{
    struct sleeper *sleeper = sleeper_new();
    coroutine_make(&sleeper->context, heap_stack(SMALL_STACK), SMALL_STACK, &scheduler, sleep_long,
                   sleeper);
    if (keep) {
        sleeper->next = sleepers;
        sleepers = sleeper;
    }
    swapcontext(&scheduler, &sleeper->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    bool drop_tenth = said(argv, "tenth");
    for (int i = 0; i < COUNT; i++)
        start(!(drop_tenth && i % 10 == 5));
    wipe();
    return 0;
}
