/*
 * Suspended coroutines that only a run queue leads to are live, and so is what they hold: the
 * second one is reached through the queue link inside the first one's control block.  Taken off
 * the queue and forgotten, the same two are abandoned.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=2 coroutines.suspended=2
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forgotten
 * EXPECT: abandoned  blocks=2 bytes=600 allocated_in=make_item suspended_in=wait_for_turn
 * EXPECT: abandoned  blocks=2 bytes=131072 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=2 allocated_in=fiber_new
 * EXPECT: summary    coroutines.seen=2 coroutines.abandoned=2
 * EXPECT: exit       status=23
 */
#include "case.h"

struct fiber {
    ucontext_t context;
    struct fiber *next;
};

GLOBAL struct fiber *queue;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_item(void)
{
    char *item = malloc(300);
    fill(item, 300);
    return item;
}

NOINLINE static struct fiber *fiber_new(void)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    REQUIRE(fiber != NULL);
    fiber->next = queue;
    return fiber;
}

static void wait_for_turn(void *argument)
{
    struct fiber *self = argument;
    char *volatile item = make_item();
    swapcontext(&self->context, &scheduler);
    free(item);
}

NOINLINE static void enqueue(void)
{
    struct fiber *fiber = fiber_new();
    coroutine_make(&fiber->context, heap_stack(STACK_BYTES), STACK_BYTES, &scheduler, wait_for_turn,
                   fiber);
    queue = fiber;
    swapcontext(&scheduler, &fiber->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    enqueue();
    enqueue();
    if (said(argv, "forgotten"))
        queue = NULL;
    wipe();
    return 0;
}
