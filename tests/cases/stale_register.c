/*
 * glibc's swapcontext also saves argument registers, so the context that main left in `scheduler`
 * keeps the address of the task in its RSI.  Main runs: nothing will ever load that register, and
 * the task is abandoned.  In a suspended coroutine's context the callee-saved registers count.
 *
 * The twin keeps the handle.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=task_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
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

NOINLINE static void run(void)
{
    handle = task_new();
    coroutine_make(&handle->context, heap_stack(STACK_BYTES), STACK_BYTES, &scheduler,
                   wait_for_reply, handle);
    swapcontext(&scheduler, &handle->context);
    /* What glibc 2.36 saved there, so that the row does not hang on its version. */
    scheduler.uc_mcontext.gregs[REG_RSI] = (greg_t)&handle->context;
}

int main(int argc, char **argv)
{
    (void)argc;
    run();
    if (!said(argv, "twin"))
        handle = NULL;
    wipe();
    return 0;
}
