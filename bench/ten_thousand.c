/*
 * A switch between ucontext coroutines: ten thousand of them, each resumed in turn, each holding a
 * block.  A resume and the yield that answers it are two switches.
 */
#include "bench.h"

#include <ucontext.h>

enum { COROUTINES = 10000, STACK_BYTES = 16384 };

struct coroutine {
    ucontext_t context;
    char *stack;
};

static struct coroutine *coroutines;
static ucontext_t scheduler;

static void yield_for_ever(int index)
{
    char *volatile note = malloc(48);
    for (;;)
        swapcontext(&coroutines[index].context, &scheduler);
    free(note);
}

static void resume(size_t count)
{
    static size_t at;
    for (size_t i = 0; i < count; i += 2) {
        swapcontext(&scheduler, &coroutines[at].context);
        at = at + 1 < COROUTINES ? at + 1 : 0;
    }
}

int main(void)
{
    coroutines = calloc(COROUTINES, sizeof *coroutines);
    REQUIRE(coroutines != NULL);
    for (int i = 0; i < COROUTINES; i++) {
        ucontext_t *context = &coroutines[i].context;
        REQUIRE((coroutines[i].stack = malloc(STACK_BYTES)) != NULL);
        REQUIRE(getcontext(context) == 0);
        context->uc_stack.ss_sp = coroutines[i].stack;
        context->uc_stack.ss_size = STACK_BYTES;
        makecontext(context, (void (*)(void))yield_for_ever, 1, i);
    }
    measure("ten_thousand", resume, 4 * COROUTINES, 10 * COROUTINES);
    return 0;
}
