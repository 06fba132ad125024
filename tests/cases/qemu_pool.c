/*
 * QEMU starts a coroutine by makecontext and from then on switches by sigsetjmp and siglongjmp;
 * older versions start it as a signal handler on an alternate stack.  A coroutine that is waiting
 * and whose handle is kept is live; dropped, it is abandoned.  One that has done its work waits in
 * a pool, in its trampoline, which will never return: what its work left below the stack pointer
 * is lost (or completed, where the end can be proven).
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext mapped
 * ROW:    J1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext mapped dropped
 * ROW:    J1 twin
 * EXPECT: abandoned  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: abandoned  blocks=1 allocated_in=coroutine_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext mapped pool
 * ROW:    J2
 * EXPECT: lost|completed  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext heap
 * ROW:    J1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext heap dropped
 * ROW:    J1 twin
 * EXPECT: abandoned  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=coroutine_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext heap pool
 * ROW:    J2
 * EXPECT: lost|completed  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext mapped pool freed
 * ROW:    J2 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal mapped
 * ROW:    J1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal mapped dropped
 * ROW:    J1 twin
 * EXPECT: abandoned  blocks=1 bytes=2500 allocated_in=make_request mechanism=setjmp
 * EXPECT: abandoned  blocks=1 allocated_in=coroutine_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal mapped pool
 * ROW:    J2
 * EXPECT: lost|completed  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal heap
 * ROW:    J1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal heap dropped
 * ROW:    J1 twin
 * EXPECT: abandoned  blocks=1 bytes=2500 allocated_in=make_request mechanism=setjmp
 * EXPECT: abandoned  blocks=1 bytes=65536 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=coroutine_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal heap pool
 * ROW:    J2
 * EXPECT: lost|completed  blocks=1 bytes=2500 allocated_in=make_request
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signal mapped pool freed
 * ROW:    J2 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <setjmp.h>

enum action { ENTER = 1, YIELD, TERMINATE };

struct coroutine {
    struct coroutine *caller, *next;
    void (*entry)(struct coroutine *self);
    void *stack;
    bool forgets;
    sigjmp_buf env;
};

GLOBAL struct coroutine *waiting, *pool, leader, *current = &leader;
GLOBAL sigjmp_buf creator;

NOINLINE static enum action switch_to(struct coroutine *from, struct coroutine *to,
                                      enum action action)
{
    current = to;
    int told = sigsetjmp(from->env, 0);
    if (told == 0)
        siglongjmp(to->env, action);
    return (enum action)told;
}

NOINLINE static void trampoline_loop(struct coroutine *self)
{
    if (sigsetjmp(self->env, 0) == 0)
        siglongjmp(creator, 1);
    for (;;) {
        self->entry(self);
        switch_to(self, self->caller, TERMINATE);
    }
}

static void trampoline(unsigned low, unsigned high)
{
    trampoline_loop((struct coroutine *)((uintptr_t)high << 32 | low));
}

NOINLINE static void start_by_ucontext(struct coroutine *self)
{
    ucontext_t context, old;
    coroutine_make(&context, self->stack, STACK_BYTES, &old, NULL, NULL);
    makecontext(&context, (void (*)(void))trampoline, 2, (unsigned)(uintptr_t)self,
                (unsigned)((uintptr_t)self >> 32));
    if (sigsetjmp(creator, 0) == 0)
        swapcontext(&old, &context);
}

GLOBAL struct coroutine *volatile starting;
GLOBAL sigjmp_buf reenter;

static void on_signal(int number)
{
    (void)number;
    if (sigsetjmp(reenter, 0) == 0)
        return; /* and come back when this is no signal handler any more */
    trampoline_loop(starting);
}

NOINLINE static void start_by_signal(struct coroutine *self)
{
    stack_t stack = {.ss_sp = self->stack, .ss_size = STACK_BYTES}, old;
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    REQUIRE(sigaltstack(&stack, &old) == 0 && sigaction(SIGUSR2, &action, NULL) == 0);
    starting = self;
    raise(SIGUSR2);
    stack.ss_flags = SS_DISABLE;
    REQUIRE(sigaltstack(&stack, NULL) == 0);
    if ((old.ss_flags & SS_DISABLE) == 0)
        sigaltstack(&old, NULL);
    if (sigsetjmp(creator, 0) == 0)
        siglongjmp(reenter, 1);
    starting = NULL;
}

NOINLINE static char *make_request(void)
{
    char *request = malloc(2500);
    fill(request, 2500);
    return request;
}

NOINLINE static void wait_for_disk(struct coroutine *self)
{
    char *volatile request = make_request();
    switch_to(self, self->caller, YIELD);
    free(request);
}

NOINLINE static void serve(struct coroutine *self)
{
    LEFTOVER(char *, request);
    *request = make_request();
    switch_to(self, self->caller, YIELD);
    if (!self->forgets)
        free(*request);
}

NOINLINE static struct coroutine *coroutine_new(void)
{
    struct coroutine *coroutine = calloc(1, sizeof *coroutine);
    REQUIRE(coroutine != NULL);
    return coroutine;
}

NOINLINE static enum action enter(struct coroutine *coroutine)
{
    coroutine->caller = current;
    return switch_to(current, coroutine, ENTER);
}

NOINLINE static void run(char **argv)
{
    waiting = coroutine_new();
    waiting->stack = said(argv, "heap") ? heap_stack(STACK_BYTES) : mapped_stack(STACK_BYTES);
    waiting->forgets = !said(argv, "freed");
    waiting->entry = said(argv, "pool") ? serve : wait_for_disk;
    if (said(argv, "signal"))
        start_by_signal(waiting);
    else
        start_by_ucontext(waiting);
    REQUIRE(enter(waiting) == YIELD);
    if (said(argv, "pool")) {
        REQUIRE(enter(waiting) == TERMINATE);
        pool = waiting;
    }
    if (said(argv, "pool") || said(argv, "dropped"))
        waiting = NULL;
    memset(&leader.env, 0, sizeof leader.env); /* stale: main runs */
    memset(&creator, 0, sizeof creator);
    memset(&reenter, 0, sizeof reenter);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(argv);
    wipe();
    return 0;
}
