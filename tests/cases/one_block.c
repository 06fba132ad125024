/*
 * Control data, result and stack in one malloc block.  The block is live as long as somebody holds
 * the task; the control data in it is ordinary heap in every state, and only the stack inside is
 * dead once the task has completed.  So the result is live and the scratch buffer is not.
 *
 * The twin has not completed.  Dropped while it waits, everything is abandoned: the one block,
 * what its body holds, and what its control data holds.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U16
 * EXPECT: completed  blocks=1 bytes=700 allocated_in=make_scratch confidence=proven root=only_task
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    U16 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * ROW:    U16 twin
 * EXPECT: abandoned  blocks=1 bytes=700 allocated_in=make_scratch
 * EXPECT: abandoned  blocks=1 indirect_blocks=1 indirect_bytes=500 allocated_in=task_new
 * EXPECT: exit       status=23
 */
#include "case.h"

struct task {
    ucontext_t context;
    void *result;
    char stack[65536];
};

GLOBAL struct task *only_task;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_scratch(void)
{
    char *scratch = malloc(700);
    fill(scratch, 700);
    return scratch;
}

NOINLINE static char *make_result(void)
{
    char *result = malloc(500);
    fill(result, 500);
    return result;
}

NOINLINE static struct task *task_new(void)
{
    struct task *task = malloc(sizeof *task);
    REQUIRE(task != NULL);
    task->result = NULL;
    return task;
}

static void compute(void *argument)
{
    struct task *self = argument;
    LEFTOVER(char *, scratch);
    *scratch = make_scratch();
    self->result = make_result();
    swapcontext(&self->context, &scheduler);
    (*scratch)[0] = 'y';
}

NOINLINE static void run(bool finish)
{
    only_task = task_new();
    coroutine_make(&only_task->context, only_task->stack, sizeof only_task->stack, &scheduler,
                   compute, only_task);
    swapcontext(&scheduler, &only_task->context);
    if (finish)
        swapcontext(&scheduler, &only_task->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(!said(argv, "twin") && !said(argv, "dropped"));
    if (said(argv, "dropped"))
        only_task = NULL;
    wipe();
    return 0;
}
