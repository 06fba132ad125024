#ifndef CRN_EXTENTS_H
#define CRN_EXTENTS_H
/*
 * Where jemalloc's memory lies outside our window (base/vm.h): mappings that the kernel placed,
 * since neither the region nor the far area could serve them.
 *
 * Blocks in it are judged one by one (outside.h), so it is no root as a whole: what nobody points
 * to would otherwise hold its neighbours.
 */
#include "base/lock.h"
#include "base/ranges.h"

struct crn_extents {
    struct crn_lock lock; /* guards `ranges` */
    struct crn_ranges ranges;
    _Atomic bool used; /* ever; spares everybody else the lock */
};

/* Adds a range.  Where there is no memory for that, it counts as the program's. */
void crn_extents_add(struct crn_extents *extents, uintptr_t start, size_t bytes, int tid);

/* Removes whatever of [start, start + bytes) is there. */
void crn_extents_remove(struct crn_extents *extents, uintptr_t start, size_t bytes, int tid);

/* Whether an address lies in one. */
bool crn_extents_have(struct crn_extents *extents, uintptr_t address, int tid);

/* How many there are, and all of them, ascending.  The caller holds the lock, or stopped everybody.
 */
size_t crn_extents_count_locked(const struct crn_extents *extents);
size_t crn_extents_copy_locked(const struct crn_extents *extents, struct crn_range *out,
                               size_t room);

/* In a forked child, where the lock may belong to a thread left behind. */
void crn_extents_after_fork(struct crn_extents *extents);

#endif
