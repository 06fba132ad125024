/*
 * A coroutine that was made and not yet started holds its argument, also when the program passes
 * it as two 32-bit halves, which is all that the standard promises for makecontext.  In a queue
 * it can still start: live.  Dropped, nobody can start it: abandoned, with its stack and its
 * control block.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE queued
 * ROW:    U12
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.created=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE queued halves
 * ROW:    U12
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * ROW:    U13
 * EXPECT: abandoned  blocks=1 bytes=1000 allocated_in=make_order confidence=proven
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=task_new
 * EXPECT: summary    coroutines.seen=1 coroutines.abandoned=1 coroutines.created=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped halves
 * ROW:    U13
 * EXPECT: abandoned  blocks=1 bytes=1000 allocated_in=make_order
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=task_new
 * EXPECT: exit       status=23
 */
#include "case.h"

struct task {
    struct task *next;
    ucontext_t context;
};

GLOBAL struct task *queue;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_order(void)
{
    char *order = malloc(1000);
    fill(order, 1000);
    return order;
}

NOINLINE static struct task *task_new(void)
{
    struct task *task = calloc(1, sizeof *task);
    REQUIRE(task != NULL);
    return task;
}

static void fill_order(void *order)
{
    free(order);
}

static void fill_order_halves(unsigned low, unsigned high)
{
    free((void *)((uintptr_t)high << 32 | low));
}

NOINLINE static void create(bool queued, bool halves)
{
    struct task *task = task_new();
    void *stack = heap_stack(STACK_BYTES);
    char *order = make_order();
    coroutine_make(&task->context, stack, STACK_BYTES, &scheduler, fill_order, order);
    if (halves)
        makecontext(&task->context, (void (*)(void))fill_order_halves, 2, (int)(uintptr_t)order,
                    (int)((uintptr_t)order >> 32));
    if (queued)
        queue = task;
}

int main(int argc, char **argv)
{
    (void)argc;
    create(said(argv, "queued"), said(argv, "halves"));
    wipe();
    return 0;
}
