/*
 * A coroutine with a stack of its own that announces itself and switches by hand: what only a
 * register holds that the switch saves, after the suspension was announced, is live.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * EXPECT: abandoned  blocks=1 bytes=300 mechanism=probe allocated_in=make_request
 * EXPECT: abandoned  blocks=2 mechanism=probe coroutine=worker
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <coroner/coroner.h>

GLOBAL void *scheduler_sp, *worker_sp, *worker_stack;
GLOBAL coroner_co worker;

/* Saves the callee-saved registers on the stack that is left, and its sp in *from. */
void switch_to(void **from, void *to);
__asm__(".text\n.globl switch_to\n.type switch_to, @function\nswitch_to:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n    pushq %r13\n    pushq %r14\n"
        "    pushq %r15\n    movq %rsp, (%rdi)\n    movq %rsi, %rsp\n    popq %r15\n    popq %r14\n"
        "    popq %r13\n    popq %r12\n    popq %rbx\n    popq %rbp\n    ret\n"
        ".size switch_to, .-switch_to\n");

NOINLINE static void *make_request(void)
{
    void *request = malloc(300);
    fill(request, 300);
    return request;
}

/* Waits with the request in rbx, and nowhere else. */
NOINLINE static void wait_with(void *request)
{
    coroner_co_suspend(worker);
    __asm__ volatile("movq %0, %%rbx\n    leaq scheduler_sp_of_asm(%%rip), %%rsi\n"
                     "    movq (%%rsi), %%rsi\n    leaq worker_sp_of_asm(%%rip), %%rdi\n"
                     "    xorl %k0, %k0\n    call switch_to"
                     :
                     : "a"(request)
                     : "rbx", "rdi", "rsi", "rcx", "rdx", "r8", "r9", "r10", "r11", "memory");
}
__asm__(".set scheduler_sp_of_asm, scheduler_sp\n.set worker_sp_of_asm, worker_sp\n");

static void work(void)
{
    coroner_co_resume(worker);
    wait_with(make_request());
    abort();
}

NOINLINE static void start(void)
{
    worker_stack = heap_stack(STACK_BYTES);
    void **top = (void **)((char *)worker_stack + STACK_BYTES) - 8;
    memset(top, 0, 8 * sizeof *top);
    coroner_scope none = {0};
    worker = coroner_co_begin_in(none, "worker", worker_stack, STACK_BYTES, CORONER_STACK);
    top[0] = (void *)work; /* returned to */
    switch_to(&scheduler_sp, top - 6);
}

int main(int argc, char **argv)
{
    (void)argc;
    start();
    if (said(argv, "dropped"))
        worker_stack = worker_sp = NULL;
    wipe();
    return 0;
}
