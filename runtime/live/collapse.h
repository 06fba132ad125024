#ifndef CRN_LIVE_COLLAPSE_H
#define CRN_LIVE_COLLAPSE_H
/*
 * Makes huge pages of the heap whole again.
 *
 * While a snapshot child lives, the first write to a huge page splits it, so that the next copy of
 * the process takes ten times as long, and marking, too.  What was huge before is collapsed after
 * (MADV_COLLAPSE, Linux 6.1), in slices, by a thread that gives way to all others.
 */
#include "base/vm.h"

struct crn_huge_ranges {
    struct crn_range *rows; /* what was huge, ascending; memory of ours */
    size_t count, room;
};

/* Notes what is huge now.  The program runs. */
void crn_huge_ranges_find(struct crn_huge_ranges *ranges);

/* Bytes in them. */
size_t crn_huge_ranges_bytes(const struct crn_huge_ranges *ranges);

/*
 * Makes huge pages of 2 MiB that the program has filled with small ones, a large array or
 * jemalloc's own records: the kernel copies the table of small pages entry by entry.  Only where
 * the heap has huge pages already, so the machine's owner allows them; for at most 0.3 s, unless
 * *must_stop gets set; no memory becomes resident by it.  The program runs.
 */
void crn_huge_ranges_fill(struct crn_huge_ranges *ranges, const _Atomic uint32_t *must_stop);

/* Collapses what is not huge any more, unless *must_stop gets set; answers the bytes of it. */
uint64_t crn_huge_ranges_collapse(const struct crn_huge_ranges *ranges,
                                  const _Atomic uint32_t *must_stop);
void crn_huge_ranges_free(struct crn_huge_ranges *ranges);

#endif
