/*
 * The table of blocks outside the region.  See outside.h.
 */
#include "heap/outside.h"

#include <string.h>

static size_t home_of(const struct crn_outside *outside, uintptr_t start)
{
    return crn_hash64(start >> 4) & (outside->capacity - 1);
}

/* The row of `start`, or the empty row where it would go. */
static struct crn_outside_block *row_find(const struct crn_outside *outside, uintptr_t start)
{
    size_t at = home_of(outside, start);
    while (outside->rows[at].start != 0 && outside->rows[at].start != start)
        at = (at + 1) & (outside->capacity - 1);
    return &outside->rows[at];
}

static bool grow_locked(struct crn_outside *outside)
{
    struct crn_outside old = *outside;
    size_t capacity = old.capacity == 0 ? 1024 : old.capacity * 2;
    struct crn_outside_block *rows = crn_vm_map(capacity * sizeof *rows);
    if (rows == NULL)
        return false;
    struct crn_outside grown = {.rows = rows, .capacity = capacity};
    for (size_t i = 0; i < old.capacity; i++)
        if (old.rows[i].start != 0)
            *row_find(&grown, old.rows[i].start) = old.rows[i];
    outside->rows = rows;
    outside->capacity = capacity;
    if (old.rows != NULL)
        crn_vm_unmap(old.rows, old.capacity * sizeof *old.rows);
    return true;
}

bool crn_outside_add(struct crn_outside *outside, struct crn_outside_block block, int tid)
{
    bool added = false;
    outside->used = true;
    crn_lock_acquire(&outside->lock, tid);
    if (outside->count * 2 < outside->capacity || grow_locked(outside)) {
        struct crn_outside_block *row = row_find(outside, block.start);
        outside->count += row->start == 0;
        *row = block;
        added = true;
    }
    crn_lock_release(&outside->lock);
    return added;
}

bool crn_outside_find(struct crn_outside *outside, uintptr_t start, struct crn_outside_block *block,
                      int tid)
{
    if (!outside->used)
        return false;
    crn_lock_acquire(&outside->lock, tid);
    bool found = outside->capacity > 0 && row_find(outside, start)->start == start;
    if (found)
        *block = *row_find(outside, start);
    crn_lock_release(&outside->lock);
    return found;
}

bool crn_outside_update(struct crn_outside *outside, struct crn_outside_block block, int tid)
{
    if (!outside->used)
        return false;
    crn_lock_acquire(&outside->lock, tid);
    struct crn_outside_block *row = outside->capacity > 0 ? row_find(outside, block.start) : NULL;
    bool found = row != NULL && row->start == block.start;
    if (found)
        *row = block;
    crn_lock_release(&outside->lock);
    return found;
}

bool crn_outside_remove(struct crn_outside *outside, uintptr_t start,
                        struct crn_outside_block *removed, int tid)
{
    if (!outside->used)
        return false;
    crn_lock_acquire(&outside->lock, tid);
    struct crn_outside_block *row = outside->capacity > 0 ? row_find(outside, start) : NULL;
    bool found = row != NULL && row->start == start;
    if (found) {
        *removed = *row;
        outside->count--;
        /* Close the gap: pull back each later row of the run that may not stand behind it. */
        size_t mask = outside->capacity - 1;
        size_t gap = (size_t)(row - outside->rows);
        for (size_t at = (gap + 1) & mask; outside->rows[at].start != 0; at = (at + 1) & mask) {
            size_t home = home_of(outside, outside->rows[at].start);
            if (((at - home) & mask) >= ((at - gap) & mask)) {
                outside->rows[gap] = outside->rows[at];
                gap = at;
            }
        }
        outside->rows[gap].start = 0;
    }
    crn_lock_release(&outside->lock);
    return found;
}

void crn_outside_after_fork(struct crn_outside *outside)
{
    crn_lock_init(&outside->lock);
}
