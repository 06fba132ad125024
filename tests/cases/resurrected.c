/*
 * A program may hide its handle so well that a check calls the coroutine dead, and then resume it
 * all the same.  That is noticed: it is counted, and nothing is claimed of its kind any more.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary  coroutines.seen=1 coroutines.resurrected=1 leaked_blocks=0
 * EXPECT: exit     status=0
 * LIVE:   abandoned  total_blocks=3 confidence=proven # it is resumed later
 *
 * RUN:    coroner run $CASE
 * EXPECT: stderr   /1 coroutine came back to life after it was called dead/
 *
 * RUN:    coroner run --format=json --output=report.json $CASE left
 * EXPECT: abandoned  total_blocks=3 confidence=proven
 * EXPECT: summary    coroutines.resurrected=0 coroutines.abandoned=1
 * EXPECT: exit       status=23
 */
#include "case.h"

struct task {
    ucontext_t context;
    char *stack;
};

GLOBAL ucontext_t scheduler;
GLOBAL uintptr_t hidden;

static void wait_for_ever(void *argument)
{
    struct task *task = argument;
    char *volatile note = malloc(700);
    swapcontext(&task->context, &scheduler);
    free(note);
}

NOINLINE static void start(void)
{
    struct task *task = calloc(1, sizeof *task);
    task->stack = heap_stack(STACK_BYTES);
    coroutine_make(&task->context, task->stack, STACK_BYTES, &scheduler, wait_for_ever, task);
    swapcontext(&scheduler, &task->context);
    hidden = hide(task);
    memset(&scheduler, 0, sizeof scheduler);
}

static void resume_after_all(void)
{
    struct task *task = unhide(hidden);
    swapcontext(&scheduler, &task->context);
    free(task->stack);
    free(task);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (!said(argv, "left"))
        atexit(resume_after_all);
    start();
    wipe();
    return 0;
}
