/*
 * A pool keeps the stacks of finished coroutines for the next ones.  Its memory is live, and what
 * the last user of a stack left on it is not.
 *
 * The first twin's coroutine is not finished.  In the second one the coroutine freed its buffer:
 * the address that is still on the stack accuses nobody.  When another coroutine starts on the
 * stack, the leftover belongs to nobody any more: the buffer is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U3
 * EXPECT: completed  blocks=1 bytes=2000 allocated_in=read_body confidence=proven root=pool
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    U3 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE freed
 * ROW:    U3 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * ROW:    U4
 * EXPECT: completed  blocks=1 bytes=2000 allocated_in=read_body confidence=proven root=pool
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped twin
 * ROW:    U4 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE reused
 * EXPECT: lost       blocks=1 bytes=2000 allocated_in=read_body confidence=proven
 * EXPECT: summary    coroutines.seen=2 coroutines.suspended=1
 * EXPECT: exit       status=23
 */
#include "case.h"

struct job {
    ucontext_t context;
    bool freed;
};

GLOBAL struct {
    void *stack;
    struct job *job;
} pool;
GLOBAL ucontext_t scheduler;
GLOBAL struct job second;

NOINLINE static char *read_body(void)
{
    char *body = malloc(2000);
    fill(body, 2000);
    return body;
}

static void serve(void *argument)
{
    struct job *self = argument;
    LEFTOVER(char *, body);
    *body = read_body();
    swapcontext(&self->context, &scheduler);
    if (self->freed)
        free(*body);
}

static void wait_for_more(void *argument)
{
    struct job *self = argument;
    swapcontext(&self->context, &scheduler);
    self->freed = true;
}

NOINLINE static void run_first(bool mapped, bool finish, bool freed)
{
    pool.job = calloc(1, sizeof *pool.job);
    pool.stack = mapped ? mapped_stack(STACK_BYTES) : heap_stack(STACK_BYTES);
    pool.job->freed = freed;
    coroutine_make(&pool.job->context, pool.stack, STACK_BYTES, &scheduler, serve, pool.job);
    swapcontext(&scheduler, &pool.job->context);
    if (finish)
        swapcontext(&scheduler, &pool.job->context);
}

NOINLINE static void run_second(void)
{
    free(pool.job);
    pool.job = NULL;
    coroutine_make(&second.context, pool.stack, STACK_BYTES, &scheduler, wait_for_more, &second);
    swapcontext(&scheduler, &second.context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run_first(said(argv, "mapped"), !said(argv, "twin"), said(argv, "freed"));
    if (said(argv, "reused"))
        run_second();
    wipe();
    return 0;
}
