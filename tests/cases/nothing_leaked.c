/*
 * A program that frees everything, coroutine and stack included, has nothing to hear.
 *
 * RUN:    coroner run $CASE
 * EXPECT: stdout-lines 1
 * EXPECT: exit         status=5
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary      coroutines.seen=1 coroutines.destroyed=1 unseen_threads=0
 * EXPECT: process      exit.code=5 exit.signal=null
 * EXPECT: exit         status=5
 */
#include "case.h"

struct task {
    ucontext_t context;
    void *stack;
};

GLOBAL ucontext_t scheduler;

static void work(void *argument)
{
    struct task *self = argument;
    char *buffer = malloc(100);
    buffer[0] = 'x';
    swapcontext(&self->context, &scheduler);
    free(buffer);
}

int main(void)
{
    struct task *task = calloc(1, sizeof *task);
    task->stack = heap_stack(STACK_BYTES);
    coroutine_make(&task->context, task->stack, STACK_BYTES, &scheduler, work, task);
    swapcontext(&scheduler, &task->context);
    swapcontext(&scheduler, &task->context);
    free(task->stack);
    free(task);
    puts("done");
    return 5;
}
