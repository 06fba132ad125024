/*
 * Suspects, when the threads run again.  See suspects.h.
 */
#include "check/suspects.h"
#include "base/sys.h"

bool crn_suspect_is_still_there(const struct crn_mark *mark, const struct crn_suspect *suspect,
                                uint64_t born_before)
{
    struct crn_outside_block outside;
    struct crn_heap *heap = mark->snap->heap;
    const struct crn_record *record = suspect->record;
    if (!crn_index_is_inside(&heap->index, suspect->start)) {
        if (!crn_outside_find(&heap->outside, suspect->start, &outside, crn_sys_gettid()))
            return false;
        record = &outside.record;
    }
    /* A record that has come to describe another block says so by its birth. */
    return crn_record_is_live(record) && crn_birth_of(heap, record) < born_before;
}
