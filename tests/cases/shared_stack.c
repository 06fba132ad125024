/*
 * Coroutines that share one stack: what a suspended one used is copied to the heap, from wherever
 * its deepest local began, so the words of the copies lie at any offset.  All can be resumed: what
 * the copies point to is live, and what that leads to.  Once a coroutine is forgotten, its copy
 * holds nothing.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin mapped
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin resume
 * EXPECT: none
 * EXPECT: stdout     ABCDEFGH
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       total_blocks=16 confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { COROUTINES = 8 };

struct request {
    struct request *body; /* another block, that only this one leads to */
    char name;
    char room[291 - sizeof(void *)];
};

struct coroutine {
    ucontext_t context;
    char *copy;
    size_t bytes;
};

GLOBAL struct coroutine *coroutines[COROUTINES];
GLOBAL ucontext_t scheduler;
GLOBAL char *stack;

NOINLINE static struct request *make_request(char name)
{
    struct request *request = malloc(300);
    fill(request, 300);
    request->name = name;
    return request;
}

/* Copies the stack from an address that is `index` modulo 8. */
NOINLINE static void suspend(int index)
{
    struct coroutine *self = coroutines[index];
    char here[16];
    __asm__ volatile("" : : "r"(here) : "memory");
    char *from = (char *)(((uintptr_t)here & ~(uintptr_t)7) + (uintptr_t)index);
    self->bytes = (size_t)(stack + STACK_BYTES - from);
    self->copy = malloc(self->bytes);
    REQUIRE(self->copy != NULL);
    memcpy(self->copy, from, self->bytes);
    swapcontext(&self->context, &scheduler);
    __asm__ volatile("" : : "r"(here) : "memory");
}

static void serve(int index)
{
    struct request *volatile request = make_request('A' + index);
    request->body = make_request('a');
    suspend(index);
    putchar(request->name);
    free(request->body);
    free(request);
    wipe_registers();
}

NOINLINE static void start(int index)
{
    struct coroutine *coroutine = calloc(1, sizeof *coroutine);
    coroutines[index] = coroutine;
    REQUIRE(getcontext(&coroutine->context) == 0);
    coroutine->context.uc_stack.ss_sp = stack;
    coroutine->context.uc_stack.ss_size = STACK_BYTES;
    coroutine->context.uc_link = &scheduler;
    makecontext(&coroutine->context, (void (*)(void))serve, 1, index);
    swapcontext(&scheduler, &coroutine->context);
}

NOINLINE static void resume(int index)
{
    struct coroutine *coroutine = coroutines[index];
    memcpy(stack + STACK_BYTES - coroutine->bytes, coroutine->copy, coroutine->bytes);
    swapcontext(&scheduler, &coroutine->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    stack = said(argv, "mapped") ? mapped_stack(STACK_BYTES) : heap_stack(STACK_BYTES);
    for (int i = 0; i < COROUTINES; i++)
        start(i);
    for (int i = 0; i < COROUTINES; i++)
        if (said(argv, "resume"))
            resume(i);
    for (int i = 0; i < COROUTINES; i += 2)
        if (!said(argv, "twin"))
            coroutines[i] = NULL;
    if (!is_unwiped())
        memset(stack, 0, STACK_BYTES); /* whatever ran there last */
    wipe();
    return 0;
}
