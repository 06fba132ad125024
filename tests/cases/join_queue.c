/*
 * A coroutine that has ended may still owe its result: its control block waits in a queue for
 * whoever joins it, and carries the result.  A control block is ordinary heap in every state, so
 * the result is live.
 *
 * The twin is joined, and the result forgotten: lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap
 * ROW:    R1
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * ROW:    R1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap joined
 * ROW:    R1 twin
 * EXPECT: lost       blocks=1 bytes=1500 allocated_in=make_result confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

struct task {
    struct task *next;
    void *result;
    void *stack;
    ucontext_t context;
};

GLOBAL struct task *join_queue;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_result(void)
{
    char *result = malloc(1500);
    fill(result, 1500);
    return result;
}

static void compute(void *argument)
{
    struct task *self = argument;
    swapcontext(&self->context, &scheduler);
    self->result = make_result();
    self->next = join_queue;
    join_queue = self;
}

NOINLINE static void run(bool heap)
{
    struct task *task = calloc(1, sizeof *task);
    task->stack = heap ? heap_stack(STACK_BYTES) : mapped_stack(STACK_BYTES);
    coroutine_make(&task->context, task->stack, STACK_BYTES, &scheduler, compute, task);
    swapcontext(&scheduler, &task->context);
    swapcontext(&scheduler, &task->context);
}

NOINLINE static void join(void)
{
    struct task *task = join_queue;
    join_queue = task->next;
    task->result = NULL;
    free(task->stack);
    free(task);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "heap"));
    if (said(argv, "joined"))
        join();
    wipe();
    return 0;
}
