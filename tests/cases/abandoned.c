/*
 * A coroutine that waits forever after its handle is gone is abandoned, and what its stack holds
 * is reported under it.  Its own frame holds its own handle: a body never vouches for itself.  A
 * heap stack is leaked with it; a mapped one is no heap block.
 *
 * The twin's handle is kept.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap
 * ROW:    U5
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply \
 *                    confidence=proven mechanism=ucontext state=abandoned
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack suspended_in=wait_for_reply
 * EXPECT: abandoned  blocks=1 allocated_in=task_new suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * ROW:    U7
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply
 * EXPECT: abandoned  blocks=1 allocated_in=task_new suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap twin
 * ROW:    U2
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped twin
 * ROW:    U1
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct task {
    ucontext_t context;
};

GLOBAL struct task *handle;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_request(void)
{
    char *request = malloc(4096);
    fill(request, 4096);
    return request;
}

NOINLINE static struct task *task_new(void)
{
    struct task *task = calloc(1, sizeof *task);
    REQUIRE(task != NULL);
    return task;
}

static void wait_for_reply(void *argument)
{
    struct task *volatile self = argument;
    char *volatile request = make_request();
    swapcontext(&self->context, &scheduler);
    free(request);
}

NOINLINE static void run(bool heap)
{
    handle = task_new();
    void *stack = heap ? heap_stack(STACK_BYTES) : mapped_stack(STACK_BYTES);
    coroutine_make(&handle->context, stack, STACK_BYTES, &scheduler, wait_for_reply, handle);
    swapcontext(&scheduler, &handle->context);
    memset(&scheduler, 0, sizeof scheduler); /* stale_register.c is about what it holds */
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "heap"));
    if (!said(argv, "twin"))
        handle = NULL;
    wipe();
    return 0;
}
