/*
 * A live coroutine overwrites the only pointer to its buffer: lost, as in any function.  The twin
 * does not.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U10
 * EXPECT: lost       blocks=1 bytes=900 allocated_in=make_line confidence=proven
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    U10 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * ROW:    U9
 * EXPECT: lost       blocks=1 bytes=900 allocated_in=make_line confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped twin
 * ROW:    U9 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

struct reader {
    ucontext_t context;
    bool forgets;
};

GLOBAL struct reader *reader;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_line(void)
{
    char *line = malloc(900);
    fill(line, 900);
    return line;
}

static void read_lines(void *argument)
{
    struct reader *self = argument;
    char *volatile line = make_line();
    if (self->forgets)
        line = NULL;
    wipe_stack();
    wipe_registers();
    self = reader;
    swapcontext(&self->context, &scheduler);
    free(line);
}

NOINLINE static void run(bool heap, bool forgets)
{
    enum { BYTES = 1 << 18 }; /* room for wipe_stack */
    reader = calloc(1, sizeof *reader);
    reader->forgets = forgets;
    void *stack = heap ? heap_stack(BYTES) : mapped_stack(BYTES);
    coroutine_make(&reader->context, stack, BYTES, &scheduler, read_lines, reader);
    swapcontext(&scheduler, &reader->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(!said(argv, "mapped"), !said(argv, "twin"));
    wipe();
    return 0;
}
