/*
 * What a check costs with many stackful coroutines: each suspended on a stack of its own, a block
 * of 16 KiB, and holding a block of 48 bytes.  Arguments: how they switch, who holds the handles,
 * and how many there are (100,000 when that is left out).
 *
 *     ucontext   every switch is seen
 *     switched   by a few instructions of assembly, which nothing announces: they must be found
 *
 *     live       a table
 *     abandoned  nobody
 *
 * What is measured is in Coroner's report: check_s.
 */
#include "bench.h"

#include <string.h>
#include <ucontext.h>

enum { STACK_BYTES = 16384 };

struct coroutine {
    ucontext_t context;
    void *sp;
    char *stack;
};

static struct coroutine **coroutines;
static ucontext_t scheduler;
static void *scheduler_sp;
static struct coroutine *starting;

void switch_stacks(void **from, void **to);
__asm__(".text\n"
        ".globl switch_stacks\n"
        ".type switch_stacks, @function\n"
        "switch_stacks:\n"
        "    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov (%rsi), %rsp\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "    ret\n"
        ".size switch_stacks, .-switch_stacks\n");

static void wait_for_ever(void)
{
    struct coroutine *self = starting;
    char *volatile note = malloc(48);
    for (;;)
        swapcontext(&self->context, &scheduler);
    free(note);
}

static void wait_for_ever_switched(void)
{
    struct coroutine *self = starting;
    char *volatile note = malloc(48);
    for (;;)
        switch_stacks(&self->sp, &scheduler_sp);
    free(note);
}

NOINLINE static void start(size_t at, int is_switched)
{
    struct coroutine *self = starting = coroutines[at] = calloc(1, sizeof *self);
    REQUIRE(self != NULL && (self->stack = malloc(STACK_BYTES)) != NULL);
    if (is_switched) {
        void **top = (void **)(self->stack + STACK_BYTES);
        memset(top - 8, 0, 8 * sizeof *top);
        top[-2] = (void *)wait_for_ever_switched;
        self->sp = top - 8;
        switch_stacks(&scheduler_sp, &self->sp);
        return;
    }
    REQUIRE(getcontext(&self->context) == 0);
    self->context.uc_stack.ss_sp = self->stack;
    self->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&self->context, wait_for_ever, 0);
    swapcontext(&scheduler, &self->context);
}

int main(int argc, char **argv)
{
    int is_switched = argc > 1 && strcmp(argv[1], "switched") == 0;
    size_t count = argc > 3 ? strtoul(argv[3], NULL, 10) : 100000;
    double began = now_ns();
    coroutines = calloc(count, sizeof *coroutines);
    REQUIRE(coroutines != NULL);
    for (size_t i = 0; i < count; i++)
        start(i, is_switched);
    if (argc > 2 && strcmp(argv[2], "abandoned") == 0) {
        memset(coroutines, 0, count * sizeof *coroutines);
        starting = NULL;
        scheduler_sp = NULL;
        memset(&scheduler, 0, sizeof scheduler);
    }
    printf("suspended %.2f us\n", (now_ns() - began) / 1e3 / (double)count);
    return 0;
}
