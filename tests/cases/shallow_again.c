/*
 * Eight fibers ran deep, where they made a block and waited; then they returned from there, without
 * the block, and wait again, near the beginning of their stacks.  The frames that have returned hold
 * nothing, also where the whole stack was touched, and where a word of the past says that the fiber
 * waits deep: the blocks are lost.
 *
 * In the twin the fiber's record, at the low end of the same memory, has the block, behind two
 * contexts: it is the owner's data, and live.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed small
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed small kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed touched
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed touched kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed large
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed large kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed mapped kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap small
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap small kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap touched
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap touched kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap large
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap large kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap mapped
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE swap mapped kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer small
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer small kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer touched
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer touched kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer large
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer large kept
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer mapped
 * EXPECT: lost       blocks=8 bytes=177776 allocated_in=deep confidence=proven
 * EXPECT: summary    coroutines.suspended=8
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE buffer mapped kept
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "switches.h"

enum { FIBERS = 8, DEPTH = 4, BYTES = 22222, SMALL = 65536, LARGE = 1 << 20 };

struct fiber {
    struct place place, resumer;
    char *block; /* of the twin */
};

GLOBAL struct fiber *fibers[FIBERS];
GLOBAL struct fiber *current;
GLOBAL struct place scheduler;
GLOBAL const struct flavour *flavour;
GLOBAL bool is_kept;

NOINLINE static void park(void)
{
    flavour->go(&current->place, &scheduler);
    CALLED;
}

NOINLINE static void deep(int levels)
{
    char *volatile block = NULL;
    if (levels > 0) {
        deep(levels - 1);
        CALLED;
        return;
    }
    block = malloc(BYTES);
    fill(block, BYTES);
    if (is_kept)
        current->block = block;
    park();
    fill(block, BYTES);
}

static void begin(void)
{
    deep(DEPTH);
    wipe_registers(); /* clang pads a frame by pushing one */
    for (;;)
        park();
}

NOINLINE static void run(char **argv, int i)
{
    size_t bytes = said(argv, "large") || said(argv, "mapped") ? LARGE : SMALL;
    char *memory = said(argv, "mapped") ? mapped_stack(bytes) : heap_stack(bytes);
    if (said(argv, "touched"))
        memset(memory, 0, bytes);
    current = fibers[i] = (struct fiber *)memory;
    memset(current, 0, sizeof *current);
    flavour->make(&current->place, (uintptr_t *)(memory + bytes));
    flavour->go(&scheduler, &current->place);
    current->resumer = scheduler;
    flavour->go(&scheduler, &current->place);
}

int main(int argc, char **argv)
{
    (void)argc;
    flavour = flavour_said(argv);
    is_kept = said(argv, "kept");
    for (int i = 0; i < FIBERS; i++)
        run(argv, i);
    memset(&scheduler, 0, sizeof scheduler);
    wipe();
    return 0;
}
