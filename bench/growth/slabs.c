/*
 * As many coroutines as the first argument says are made on stacks that are carved from slabs of
 * malloc, as many as the second says, in turn: a pool for each thread or size.  Processor time.
 */
#include "growth.h"

#include <ucontext.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024, SLABS_MAX = 256 };

static void nothing(void)
{
}

int main(int argc, char **argv)
{
    size_t count = argc > 1 ? (size_t)atol(argv[1]) : 32768;
    size_t slab_count = argc > 2 ? (size_t)atol(argv[2]) : 2;
    char *slabs[SLABS_MAX];
    REQUIRE(slab_count >= 1 && slab_count <= SLABS_MAX);
    ucontext_t *contexts = calloc(count, sizeof *contexts);
    for (size_t i = 0; i < slab_count; i++)
        slabs[i] = malloc((count / slab_count + 1) * STACK_BYTES);
    double began = cpu_ms();
    for (size_t i = 0; i < count; i++) {
        getcontext(&contexts[i]);
        contexts[i].uc_stack.ss_sp = slabs[i % slab_count] + i / slab_count * STACK_BYTES;
        contexts[i].uc_stack.ss_size = STACK_BYTES;
        makecontext(&contexts[i], nothing, 0);
    }
    printf("slabs %.3f ms\n", cpu_ms() - began);
    fflush(stdout);
    _exit(0);
}
