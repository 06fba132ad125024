/*
 * Locals that coroutines named.  See flood.h.
 *
 * The live flood passes over a slot that was declared done.  What nothing else leads to then is
 * `stale`: held, but by something that will never be read again.
 */
#include "mark/flood.h"

const struct crn_snap_local *crn_local_find(const struct crn_snap *snap, uintptr_t slot)
{
    size_t low = 0, high = snap->local_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->locals[middle].slot < slot)
            low = middle + 1;
        else
            high = middle;
    }
    return low < snap->local_count && snap->locals[low].slot == slot ? &snap->locals[low] : NULL;
}

bool crn_has_done_locals(const struct crn_mark *mark)
{
    for (size_t i = 0; i < mark->snap->local_count; i++)
        if (mark->snap->locals[i].is_done)
            return true;
    return false;
}

bool crn_local_is_done(const struct crn_mark *mark, uintptr_t address)
{
    const struct crn_snap_local *local = crn_local_find(mark->snap, address);
    return local != NULL && local->is_done;
}
