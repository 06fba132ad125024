/*
 * Many schedulers never let the entry function return: the last thing a coroutine does is switch
 * away for good, into a pool that may start it again.  What it left below its stack pointer is
 * not part of it any more, so the reply is lost (or completed, where the end can be proven).
 *
 * The twin switches from the same place in the entry function, and holds its reply there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U14
 * EXPECT: lost|completed  blocks=1 bytes=3000 allocated_in=make_reply
 * EXPECT: exit            status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    U15
 * EXPECT: none
 * EXPECT: exit            status=0
 */
#include "case.h"

struct worker {
    ucontext_t context;
    struct worker *next_idle;
    bool keeps_reply;
};

GLOBAL struct worker *idle;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_reply(void)
{
    char *reply = malloc(3000);
    fill(reply, 3000);
    return reply;
}

NOINLINE static void serve_and_forget(void)
{
    LEFTOVER(char *, reply);
    *reply = make_reply();
}

static void worker_main(void *argument)
{
    struct worker *self = argument;
    for (;;) {
        char *volatile reply = NULL;
        if (self->keeps_reply)
            reply = make_reply();
        else
            serve_and_forget();
        self->next_idle = idle;
        idle = self;
        swapcontext(&self->context, &scheduler); /* the last switch, or the wait for more work */
        free(reply);
    }
}

NOINLINE static void run(bool twin)
{
    struct worker *worker = calloc(1, sizeof *worker);
    worker->keeps_reply = twin;
    coroutine_make(&worker->context, heap_stack(STACK_BYTES), STACK_BYTES, NULL, worker_main,
                   worker);
    swapcontext(&scheduler, &worker->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "twin"));
    wipe();
    return 0;
}
