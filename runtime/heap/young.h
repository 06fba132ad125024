#ifndef CRN_YOUNG_H
#define CRN_YOUNG_H
/*
 * The blocks that a forked child has made, as long as they are few.
 *
 * A child is judged for what it allocated itself.  Most children end soon, with millions of blocks
 * that are their parent's: to look through all of those for one that is new would take longer than
 * the fork did.  So the first allocations of a child are noted by their addresses:
 *
 *     fork --> open: every allocation is noted --> closed: it has made CRN_YOUNG_MAX
 *
 * A closed list says nothing.  A process that was not forked never has an open one.
 */
#include "base/base.h"

enum { CRN_YOUNG_MAX = 1024 };

struct crn_young {
    _Atomic uint32_t is_open;
    _Atomic uint32_t count; /* may pass the most while threads close it */
    _Atomic uint32_t has_grown; /* a block that is older was resized where it is: it is new now */
    _Atomic uintptr_t starts[CRN_YOUNG_MAX];
};

/* Begins anew: in a forked child, whose blocks are its parent's as yet. */
void crn_young_open(struct crn_young *young);

/* Notes a block of an open list, before it is on record; too many of them close it.  Any thread. */
CRN_INLINE void crn_young_note(struct crn_young *young, uintptr_t start)
{
    uint32_t at = young->count++;
    if (at < CRN_YOUNG_MAX)
        young->starts[at] = start;
    else
        young->is_open = 0;
}

struct crn_heap;

/*
 * Of an open list: the blocks with at least this birth that are alive, ascending.  Answers how many
 * there are; `blocks` has room for CRN_YOUNG_MAX.
 */
struct crn_block;
size_t crn_young_list(struct crn_heap *heap, uint64_t birth, struct crn_block *blocks);

/* Of an open list: whether any block with at least this birth is alive. */
bool crn_young_any_since(struct crn_heap *heap, uint64_t birth, int tid);

#endif
