/*
 * A coroutine that has run to its end can never use what it left on its stack.  Here finished
 * tasks stay in a list, so the stack is live memory, and the buffer whose address lies on it looks
 * held; no code will read that address again.
 *
 * The twin's task still waits for its reply, and will use the buffer.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap
 * EXPECT: completed  blocks=1 bytes=4096 indirect_blocks=0 allocated_in=fill_buffer \
 *                    confidence=proven mechanism=ucontext created_in=coroutine_make root=tasks
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=fill_buffer confidence=proven root=tasks
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=1 coroutines.suspended=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=0 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct task {
    struct task *next;
    ucontext_t context;
};

GLOBAL struct task *tasks;
GLOBAL ucontext_t scheduler;

NOINLINE static char *fill_buffer(void)
{
    char *buffer = malloc(4096);
    fill(buffer, 4096);
    return buffer;
}

static void handle_request(void *argument)
{
    struct task *self = argument;
    LEFTOVER(char *, buffer);
    *buffer = fill_buffer();
    swapcontext(&self->context, &scheduler); /* waits for its reply */
    (*buffer)[0] = 'y';
}

NOINLINE static void run(bool heap, bool twin)
{
    struct task *task = calloc(1, sizeof *task);
    void *stack = heap ? heap_stack(STACK_BYTES) : mapped_stack(STACK_BYTES);
    coroutine_make(&task->context, stack, STACK_BYTES, &scheduler, handle_request, task);
    task->next = tasks;
    tasks = task;
    swapcontext(&scheduler, &task->context);
    if (!twin)
        swapcontext(&scheduler, &task->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "heap"), said(argv, "twin"));
    wipe();
    return 0;
}
