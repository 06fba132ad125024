#ifndef CRN_AHEAD_H
#define CRN_AHEAD_H
/*
 * Flooding through memory that is slow: the engine of the floods that visit millions of blocks.
 *
 * A word that points to the heap costs three looks at places nobody can foresee: at the row of its
 * page, at the bit that says whether its block is new and, if it is, at the contents of the block.
 * So words are collected as they are read and looked up many at a time, for the misses of one to
 * overlap with those of the next, and a block that is new is asked for from memory a little ahead
 * of its turn:
 *
 *     contents --> words --> [page] --> [bit] --> work list --> [contents] --> ...
 *
 * (Prefetched work in a FIFO: Cher, Hosking, Vitek, "Software prefetching for mark-sweep garbage
 * collection", ASPLOS 2004.)
 *
 * The bits are those of *plain* blocks, which most are: whoever comes to one for the first time
 * clears its bit and has nothing else to look at.  Words that lead elsewhere, or to a block of
 * which there is more to know, are *doubts*: the flood's own function looks at them one by one.
 */
#include "mark/flood.h"

/* A block to scan: start | class + 1 << 48; no class: ask crn_target_find. */
typedef uint64_t crn_work;

enum { CRN_WORDS_CHUNK = 64, CRN_WORDS_ROOM = 192, CRN_WORKS_AHEAD = 16 };

struct crn_flood {
    struct crn_scan scan; /* first: visitors cast back */
    struct crn_mark *mark;
    uint64_t *fresh; /* bits by slot: plain blocks that this flood has not come to */

    /* Enters the blocks that crn_flood_look_up finds among the words collected. */
    void (*settle)(struct crn_flood *flood);

    /* Words in the region or in [other, other + other_bytes) are collected. */
    uintptr_t region, region_bytes, other, other_bytes;
    uintptr_t words[CRN_WORDS_ROOM];
    unsigned word_count;

    unsigned ahead_first, ahead_count;
    crn_work ahead[CRN_WORKS_AHEAD];
    struct crn_worklist works;
    bool is_out_of_memory;
    void *user; /* whose flood it is */
};

/* What crn_flood_look_up found. */
struct crn_found_works {
    unsigned count, doubt_count;
    crn_slot slots[CRN_WORDS_ROOM];
    crn_work works[CRN_WORDS_ROOM];
    uintptr_t doubts[CRN_WORDS_ROOM];
};

/* Prepares a flood with a work list for at most `works_max`; false: no memory. */
bool crn_flood_init(struct crn_flood *flood, struct crn_mark *mark, uint64_t *fresh,
                    void (*settle)(struct crn_flood *flood), size_t works_max);
void crn_flood_fini(struct crn_flood *flood);

/* Collects one word, or those of [start, end) as a run of `scan`. */
CRN_INLINE void crn_flood_add(struct crn_flood *flood, uintptr_t word)
{
    flood->words[flood->word_count++] = word;
    if (CRN_UNLIKELY(flood->word_count > CRN_WORDS_ROOM - CRN_WORDS_CHUNK))
        flood->settle(flood);
}
void crn_flood_run(struct crn_scan *scan, uintptr_t start, uintptr_t end);

/*
 * Takes all collected words.  Fresh blocks come as works, each once, their bits cleared; doubts
 * must be settled after those.
 */
void crn_flood_look_up(struct crn_flood *flood, struct crn_found_works *found);

/* Notes a block to be scanned. */
CRN_INLINE void crn_flood_push(struct crn_flood *flood, crn_work work)
{
    flood->is_out_of_memory |= !crn_worklist_push(&flood->works, work);
}

/* Settles and scans until nothing is left. */
void crn_flood_drain(struct crn_flood *flood);

CRN_INLINE uintptr_t crn_work_start(crn_work work)
{
    return work & CRN_ADDRESS_MASK;
}
CRN_INLINE size_t crn_work_bytes(crn_work work)
{
    return work >> 48 != 0 ? crn_classes[(work >> 48) - 1].bytes : 0;
}
CRN_INLINE crn_work crn_work_of(uintptr_t start, unsigned class_index)
{
    return start | (crn_work)(class_index + 1) << 48;
}

#endif
