#ifndef CRN_OUTSIDE_H
#define CRN_OUTSIDE_H
/*
 * Blocks that jemalloc placed outside the region: those that are too large for it, those served
 * after it was full, or all of them when there is no region.  Slow and rare.
 *
 * A hash table with linear probing under one lock.  Deleting shifts the run back, so there are
 * no tombstones.  A check takes the lock before it stops the threads, so it sees every row, whole.
 */
#include "base/lock.h"
#include "base/vm.h"
#include "heap/index.h"

struct crn_outside_block {
    uintptr_t start; /* 0: an empty row */
    size_t size, usable; /* exact, and as jemalloc has it: both may be beyond any class */
    struct crn_record record; /* its size means nothing: 40 bits may be too few */
};

struct crn_outside {
    struct crn_lock lock;
    struct crn_outside_block *rows;
    size_t capacity, count; /* capacity is a power of two */
    _Atomic bool used;      /* ever; spares everybody else the lock */
};

/* Adds a block; false: no memory for the table (the block is then not known). */
bool crn_outside_add(struct crn_outside *outside, struct crn_outside_block block, int tid);

/* Copies the block that starts at `start`; false: it is not ours. */
bool crn_outside_find(struct crn_outside *outside, uintptr_t start, struct crn_outside_block *block,
                      int tid);

/* Describes the block that starts at block.start anew; false: it is not there. */
bool crn_outside_update(struct crn_outside *outside, struct crn_outside_block block, int tid);

/* Removes it; false: it was not there. */
bool crn_outside_remove(struct crn_outside *outside, uintptr_t start,
                        struct crn_outside_block *removed, int tid);

/* Makes the table usable in a forked child; what was being changed at that moment is forgotten. */
void crn_outside_after_fork(struct crn_outside *outside);

#endif
