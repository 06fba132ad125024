/* stacks N: N coroutines (ucontext) that are suspended, on stacks of 16 KiB from mmap. */
#include "stand.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 16384, KINDS = 3 };

static ucontext_t back, *contexts;
static size_t current;

__attribute__((noinline)) static void serve(void)
{
    char *request = malloc(100);
    swapcontext(&contexts[current], &back);
    free(request);
}

static void kind_0(void)
{
    serve();
}
static void kind_1(void)
{
    serve();
}
static void kind_2(void)
{
    serve();
}

static void touch(void *user)
{
    ++*(char *)user;
}

int main(int argc, char **argv)
{
    static void (*const kinds[KINDS])(void) = {kind_0, kind_1, kind_2};
    size_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000;
    contexts = calloc(count, sizeof *contexts);
    char *stacks = mmap(NULL, count * STACK_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (contexts == NULL || stacks == MAP_FAILED)
        return 1;
    for (current = 0; current < count; current++) {
        getcontext(&contexts[current]);
        contexts[current].uc_stack.ss_sp = stacks + current * STACK_BYTES;
        contexts[current].uc_stack.ss_size = STACK_BYTES;
        makecontext(&contexts[current], kinds[current % KINDS], 0);
        swapcontext(&back, &contexts[current]);
    }
    stand((struct heart){touch, malloc(1)});
    _exit(0);
}
