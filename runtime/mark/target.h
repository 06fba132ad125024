#ifndef CRN_TARGET_H
#define CRN_TARGET_H
/*
 * Which block a word points into.
 *
 * Rows are a copy of the index's page map, one a page, as colours.c made it: they leave out pages
 * whose blocks are all dead, and know which block covers a page in which none starts.
 *
 * Wide blocks have no rows: of a thousand stacks of 1 MiB, a page used of each, they would take 2
 * MiB. They stand in a list and are searched for where the rows say nothing.  Rows that nothing was
 * entered in are not even read: the kernel counts what it gives for that as memory used.
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

/* The row of a page; rows[0] says nothing and stands for all where there are none. */
enum { CRN_ROWS_SHIFT = 9 };
CRN_INLINE uint64_t crn_row_get(const struct crn_mark *mark, size_t page)
{
    return mark->rows[(page + 1) & mark->row_masks[page >> CRN_ROWS_SHIFT]];
}

/* From here on a block is wide; all of them, ascending. */
enum { CRN_WIDE_FROM_BYTES = 256 * 1024 };
CRN_INLINE const struct crn_target *crn_wide_blocks(const struct crn_mark *mark)
{
    return (const struct crn_target *)mark->spans[CRN_SPAN_WIDE].base;
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
