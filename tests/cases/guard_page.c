/*
 * A malloc'ed stack with a PROT_NONE guard page inside the block.  The check reads around the
 * guard: the waiting coroutine and its buffer are live, and the program does not die.
 *
 * Completed, what it left is reported, guard or no guard.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE finish
 * EXPECT: completed  blocks=1 bytes=640 allocated_in=make_buffer
 * EXPECT: exit       status=23
 */
#include "case.h"

GLOBAL struct fiber {
    ucontext_t context;
    char *block;
} * fiber;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_buffer(void)
{
    char *buffer = malloc(640);
    fill(buffer, 640);
    return buffer;
}

static void wait_here(void *argument)
{
    struct fiber *self = argument;
    LEFTOVER(char *, buffer);
    *buffer = make_buffer();
    swapcontext(&self->context, &scheduler);
    (*buffer)[0] = 'y';
}

NOINLINE static void run(bool finish)
{
    enum { BYTES = 16 * 4096 };
    fiber = calloc(1, sizeof *fiber);
    fiber->block = aligned_alloc(4096, BYTES);
    REQUIRE(fiber->block != NULL);
    REQUIRE(mprotect(fiber->block + 4096, 4096, PROT_NONE) == 0);
    coroutine_make(&fiber->context, fiber->block, BYTES, &scheduler, wait_here, fiber);
    swapcontext(&scheduler, &fiber->context);
    if (finish)
        swapcontext(&scheduler, &fiber->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "finish"));
    wipe();
    return 0;
}
