/*
 * Fibers that a program switches by its own few instructions of assembly, which nothing announces,
 * in each common form of them (switches.h), and with stacks from each common place: blocks,
 * mappings, one mapping split by guard pages, one block cut into many.  Suspended in a queue,
 * they are live.  Taken off the queue and forgotten, the second of three is abandoned.  What frames
 * that have returned left below their stack pointers is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed pool
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed pool dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed slab
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed slab dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap-bytes heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap-bytes heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap-popped heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap-popped heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=switch
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 mapped
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 mapped dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=fcontext
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 pool
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 pool dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=fcontext
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 slab
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 slab dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=fcontext
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-40 heap
 * ROW:    S1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-40 heap dropped
 * ROW:    S2
 * EXPECT: abandoned  blocks=1 bytes=300 allocated_in=make_item mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed heap left
 * ROW:    S1 twin
 * EXPECT: lost       blocks=3 bytes=990 allocated_in=make_note
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 heap left
 * ROW:    S1 twin
 * EXPECT: lost       blocks=3 bytes=990 allocated_in=make_note
 * EXPECT: exit       status=23
 */
#include "switches.h"

enum { FIBERS = 3, FIBER_STACK = 1 << 18 /* room for wipe_stack */ };

struct fiber {
    struct place place;
    struct fiber *next;
};

GLOBAL struct fiber *queue, *starting;
GLOBAL struct place scheduler;
GLOBAL const struct flavour *flavour;
GLOBAL char *slab;
GLOBAL bool leaves;

NOINLINE static char *make_item(void)
{
    char *item = malloc(300);
    fill(item, 300);
    return item;
}

NOINLINE static struct fiber *fiber_new(void)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    REQUIRE(fiber != NULL);
    return fiber;
}

NOINLINE static char *make_note(void)
{
    char *note = malloc(330);
    fill(note, 330);
    return note;
}

NOINLINE static void take_note(void)
{
    LEFTOVER(char *, note);
    *note = make_note();
}

static void begin(void)
{
    struct fiber *volatile self = starting;
    if (leaves)
        take_note();
    char *volatile item = make_item();
    if (!leaves)
        wipe_stack(); /* what allocators left there too */
    flavour->go(&self->place, &scheduler);
    free(item);
    abort();
}

/* A stack for fiber number `i`; where it ends. */
NOINLINE static void *stack_end(char **argv, int i)
{
    enum { GUARD_BYTES = 4096 };
    char *stack;
    if (said(argv, "heap")) {
        stack = heap_stack(FIBER_STACK);
    } else if (said(argv, "mapped")) {
        stack = mapped_stack(FIBER_STACK);
    } else if (said(argv, "slab")) {
        if (slab == NULL)
            slab = heap_stack(FIBERS * FIBER_STACK);
        stack = slab + i * FIBER_STACK;
    } else { /* a pool in one mapping, each stack above a page that nobody may touch */
        if (slab == NULL)
            slab = mapped_stack(FIBERS * (GUARD_BYTES + FIBER_STACK));
        stack = slab + i * (GUARD_BYTES + FIBER_STACK);
        REQUIRE(mprotect(stack, GUARD_BYTES, PROT_NONE) == 0);
        stack += GUARD_BYTES;
    }
    return stack + FIBER_STACK;
}

NOINLINE static void start(char **argv, int i)
{
    struct fiber *fiber = fiber_new();
    flavour->make(&fiber->place, stack_end(argv, i));
    fiber->next = queue;
    queue = starting = fiber;
    flavour->go(&scheduler, &fiber->place);
}

int main(int argc, char **argv)
{
    (void)argc;
    flavour = flavour_said(argv);
    leaves = said(argv, "left");
    for (int i = 0; i < FIBERS; i++)
        start(argv, i);
    memset(&scheduler, 0, sizeof scheduler); /* stale: main runs */
    if (said(argv, "dropped"))               /* the second one */
        queue->next = queue->next->next;
    wipe();
    return 0;
}
