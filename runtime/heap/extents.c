/*
 * jemalloc's memory outside the region.  See extents.h.
 */
#include "heap/extents.h"

enum { EXTENTS_MAX = 1 << 20 };
static const uint64_t LOCK_LIMIT_NS = 100000000;

void crn_extents_add(struct crn_extents *extents, uintptr_t start, size_t bytes, int tid)
{
    if (!crn_lock_try_for(&extents->lock, tid, LOCK_LIMIT_NS))
        return; /* we are in a signal handler on top of one that changes the list */
    if (extents->used || crn_ranges_init(&extents->ranges, EXTENTS_MAX)) {
        extents->used = true;
        crn_ranges_insert(&extents->ranges, start, crn_align_up(start + bytes, CRN_PAGE_BYTES), 0);
    }
    crn_lock_release(&extents->lock);
}

void crn_extents_remove(struct crn_extents *extents, uintptr_t start, size_t bytes, int tid)
{
    uintptr_t end = crn_align_up(start + bytes, CRN_PAGE_BYTES);
    if (!extents->used || !crn_lock_try_for(&extents->lock, tid, LOCK_LIMIT_NS))
        return;
    const struct crn_ranges_item *item;
    while ((item = crn_ranges_first_above(&extents->ranges, start)) != NULL && item->start < end) {
        struct crn_ranges_item old = *item;
        crn_ranges_remove(&extents->ranges, old.start);
        if (old.start < start)
            crn_ranges_insert(&extents->ranges, old.start, start, 0);
        if (old.end > end)
            crn_ranges_insert(&extents->ranges, end, old.end, 0);
    }
    crn_lock_release(&extents->lock);
}

bool crn_extents_have(struct crn_extents *extents, uintptr_t address, int tid)
{
    if (!extents->used || !crn_lock_try_for(&extents->lock, tid, LOCK_LIMIT_NS))
        return false;
    bool is_found = crn_ranges_find(&extents->ranges, address) != NULL;
    crn_lock_release(&extents->lock);
    return is_found;
}

size_t crn_extents_count_locked(const struct crn_extents *extents)
{
    return extents->ranges.item_count;
}

size_t crn_extents_copy_locked(const struct crn_extents *extents, struct crn_range *out,
                               size_t room)
{
    size_t count = 0;
    const struct crn_ranges_item *item = crn_ranges_first_above(&extents->ranges, 0);
    for (; item != NULL && count < room; item = crn_ranges_first_above(&extents->ranges, item->end))
        out[count++] = (struct crn_range){item->start, item->end};
    return count;
}

void crn_extents_after_fork(struct crn_extents *extents)
{
    crn_lock_init(&extents->lock);
}
