#ifndef CRN_TARGET_H
#define CRN_TARGET_H
/*
 * Which block a word points into.
 *
 * Rows are a copy of the index's page map, one a page, as colours.c made it: they leave out pages
 * whose blocks are all dead, and know which block covers a page in which none starts.
 */
#include "mark/mark.h"

/* A block that a word points into. */
struct crn_target {
    crn_slot slot;
    uintptr_t start;
    size_t bytes; /* usable */
};

/*
 * A row of `mark->rows` is the page's word of the index, in a page where live blocks start; else
 * (page + 1) << 32 of where the block starts that covers this one's first byte; 0: none does.
 */
CRN_INLINE bool crn_row_has_blocks(uint64_t row)
{
    return (row & 0xff) != 0; /* the page's class */
}

/*
 * The live block that a word points to: at its start or inside its exact size.  What lies behind
 * that is only the class's, unless the program asked for the usable size; see README.md.
 */
bool crn_target_find(const struct crn_mark *mark, uintptr_t word, struct crn_target *target);

/* The live block in whose memory, slack included, an address lies. */
bool crn_target_cover(const struct crn_mark *mark, uintptr_t word, struct crn_target *target);

/* Whether `word`, which lies in the memory of a block, points to that block. */
bool crn_slot_reaches(const struct crn_mark *mark, crn_slot slot, uintptr_t start, uintptr_t word);

/* The record of a slot. */
struct crn_record *crn_slot_record(const struct crn_mark *mark, crn_slot slot);

/* The exact size of its block. */
size_t crn_slot_size(const struct crn_mark *mark, crn_slot slot);

#endif
