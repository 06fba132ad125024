/*
 * --coroutines lists every coroutine, alike ones together, with what only one of them holds.
 *
 * Eight wait for replies, each with a request of its own, and all know one table; one was never
 * started; and the program ends on one that runs.  All are live.
 *
 * RUN:    coroner run --coroutines --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=10 coroutines.suspended=8 coroutines.created=1 \
 *                    coroutines.running=1
 * EXPECT: coroutines name=wait_for_reply mechanism=ucontext state=suspended count=8 \
 *                    stack_bytes=524288 retained_bytes=8000 created_in=coroutine_make \
 *                    suspended_in=wait_for_reply
 * EXPECT: coroutines name=wait_for_reply state=created stack_bytes=65536 retained_bytes=0 count=1
 * EXPECT: coroutines name=end_here state=running retained_bytes=700 count=1
 * EXPECT: coroutines count=10
 *
 * RUN:    coroner run --coroutines $CASE
 * EXPECT: stderr     /wait_for_reply \(ucontext, suspended, 8 alike\)\n +stacks of 512.0 KiB, /
 * EXPECT: stderr     /touched; hold 8,000 bytes, each alone; up to [^;]* old\n/
 * EXPECT: stderr     /coroutine end_here \(ucontext, running\)\n.*; holds 700 bytes alone/
 * EXPECT: stderr     /; 10 coroutines \(1 created, 1 running, 8 suspended\)$/
 *
 * Without it nothing is listed.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: coroutines count=0
 *
 * Of the dead, what is leaked with them counts, but for their own stacks; and what a leak has told
 * is not told again.
 *
 * RUN:    coroner run --coroutines --format=json --output=report.json $CASE forgotten
 * EXPECT: abandoned  blocks=8 allocated_in=make_request
 * EXPECT: abandoned  blocks=16 suspended_in=wait_for_reply allocated_in=coroutine_new
 * EXPECT: coroutines state=abandoned stack_bytes=524288 retained_bytes=15744 count=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --coroutines $CASE forgotten
 * EXPECT: stderr     /they hold, allocated at\n/
 * EXPECT: stderr     /coroutine wait_for_reply \(ucontext, abandoned, 8 alike\), as in #1\n/
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { WAITING = 8 };

struct coroutine {
    ucontext_t context;
};

GLOBAL struct coroutine *waiting[WAITING], *idle, *last;
GLOBAL char *table;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_request(size_t bytes)
{
    char *request = malloc(bytes);
    fill(request, bytes);
    return request;
}

static void wait_for_reply(void *argument)
{
    struct coroutine *volatile self = argument;
    char *volatile request = make_request(1000);
    char *volatile known = table;
    swapcontext(&self->context, &scheduler);
    free(request);
    (void)known;
}

static void end_here(void *argument)
{
    char *volatile request = make_request(700);
    (void)argument;
    wipe_registers();
    exit(request == NULL);
}

NOINLINE static struct coroutine *coroutine_new(void (*entry)(void *))
{
    struct coroutine *coroutine = calloc(1, sizeof *coroutine);
    REQUIRE(coroutine != NULL);
    coroutine_make(&coroutine->context, malloc(STACK_BYTES), STACK_BYTES, &scheduler, entry,
                   coroutine);
    return coroutine;
}

NOINLINE static void run(void)
{
    table = make_request(30);
    for (int i = 0; i < WAITING; i++) {
        waiting[i] = coroutine_new(wait_for_reply);
        swapcontext(&scheduler, &waiting[i]->context);
    }
    idle = coroutine_new(wait_for_reply);
    last = coroutine_new(end_here);
    memset(&scheduler, 0, sizeof scheduler);
}

int main(int argc, char **argv)
{
    (void)argc;
    run();
    if (said(argv, "forgotten")) {
        memset(waiting, 0, sizeof waiting);
        wipe();
        return 0;
    }
    wipe();
    setcontext(&last->context);
    return 1;
}
