#ifndef CRN_HUGE_H
#define CRN_HUGE_H
/*
 * Huge pages where they pay: in frames (2 MiB, aligned) that will be filled with small blocks.
 *
 * jemalloc maps memory before it decides what goes there, and a large block may be used sparsely: a
 * coroutine's stack of 1 MiB of which a page is touched would be all resident.  But it fills its
 * memory in ascending order.  So when seven of eight pages of a frame have small blocks,
 * the next frame will most likely be filled, too; nothing of it has been touched
 * yet.
 *
 *     | ######## | ######## | ........ |            # a page with blocks smaller than itself
 *       full       full       huge from here on
 *
 * A frame in which a large block is placed later has small pages from then on.
 */
#include "base/vm.h"

struct crn_huge {
    uintptr_t base;         /* of the region: frame 0 */
    struct crn_span frames; /* a struct crn_huge_frame each, as far as there are blocks */
    bool is_short;          /* there was no memory for more of them */
    uint32_t splits;        /* how often that may have split a mapping of the kernel's in three */
};

/* Prepares for frames of [base, base + span).  False: no addresses. */
bool crn_huge_init(struct crn_huge *huge, uintptr_t base, size_t span);

/*
 * A page that had blocks of `old_bytes` (0: none) has blocks of `bytes` now, the first of which
 * starts at `start`.  The caller serializes the calls, and touches the block afterwards.
 */
void crn_huge_note(struct crn_huge *huge, uintptr_t start, size_t old_bytes, size_t bytes);

/* The first page from `page` on that lies in a frame that ever had a block, by its number. */
size_t crn_huge_next(const struct crn_huge *huge, size_t page);

#endif
