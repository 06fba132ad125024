#ifndef CRN_HEAP_H
#define CRN_HEAP_H
/*
 * The heap of this process: region, index and outside blocks together, the birth clock, and the
 * totals that a report prints.
 */
#include "heap/asked.h"
#include "heap/extents.h"
#include "heap/index.h"
#include "heap/outside.h"
#include "heap/region.h"
#include "heap/young.h"

struct crn_heap {
    struct crn_region region;
    struct crn_index index;
    struct crn_outside outside;
    struct crn_extents extents;
    struct crn_asked asked; /* about the usable size */
    _Atomic uint64_t birth_now; /* births.h */
    uint64_t birth_line;        /* blocks with a smaller birth are not ours to judge: from before
                                 * the constructor, or inherited by fork */
    uint64_t started_ns;        /* CLOCK_MONOTONIC */

    /* Totals of what threads have handed in; see struct crn_heap_counts. */
    _Atomic uint64_t allocations, frees;
    _Atomic uint64_t bad_frees; /* of what is no block, or none any more */
    _Atomic int64_t live_bytes, peak_bytes;

    _Atomic int64_t alarm_bytes; /* live bytes to be told of; 0: none */
    struct crn_births births;
    struct crn_young young;
};
extern struct crn_heap crn_heap;

/* Called when live bytes have passed crn_heap.alarm_bytes, in the middle of an allocation; or NULL. */
extern void (*crn_heap_alarm)(int64_t live_bytes);

/* A thread's own counts, handed in now and then: see crn_heap_counts_flush. */
struct crn_heap_counts {
    uint64_t allocations, frees;
    int64_t live_bytes; /* exact sizes; may be negative when it frees what others made */
};

enum { CRN_COUNTS_SLACK_BYTES = 64 * 1024 };

/* Claims the region and prepares the tables; false when the heap cannot be indexed at all. */
bool crn_heap_init(struct crn_heap *heap);

/* Which birth a stamp stands for, now. */
CRN_INLINE uint64_t crn_birth_of_stamp(const struct crn_heap *heap, uint32_t stamp)
{
    if (CRN_LIKELY_TRUE(stamp < CRN_BIRTH_KEPT))
        return __atomic_load_n(&heap->births.kept[stamp], __ATOMIC_RELAXED);
    uint64_t now = heap->birth_now;
    return now - ((now - stamp) & CRN_META_STAMP_MASK);
}

/* When the block of a live record was born; births compare as numbers. */
CRN_INLINE uint64_t crn_birth_of(const struct crn_heap *heap, const struct crn_record *record)
{
    return crn_birth_of_stamp(heap, crn_meta_stamp(record->meta));
}

/*
 * Draws a line: answers a birth that every block made from now on reaches, and none before.  From
 * any thread, and from a handler on top of us.
 */
uint64_t crn_heap_line_draw(struct crn_heap *heap);

/* Adds a thread's counts to the totals and zeroes them; sets the peak and the clock. */
void crn_heap_counts_flush(struct crn_heap *heap, struct crn_heap_counts *counts);

/* In a forked child: what exists was inherited, and the totals start again. */
void crn_heap_after_fork(struct crn_heap *heap);

#endif
