/*
 * Coroutine frames: heap blocks that are coroutines.  See flood.h.
 *
 * A suspended frame is an ordinary block to the live flood: whoever reaches it can resume it, and
 * what it holds is live, a parent through its child's continuation as well.  Those it leaves white
 * are abandoned.  A frame at its final suspension point is closed to the flood, which only notes
 * that it came by: its contents are leftovers, and the handle may still be wanted for the result.
 */
#include "mark/flood.h"
#include "mark/spare.h"

uint32_t crn_frame_find(const struct crn_snap *snap, uintptr_t start)
{
    size_t low = 0, high = snap->frame_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->frames[middle].start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < snap->frame_count && snap->frames[low].start == start ? (uint32_t)low + 1 : 0;
}

/* The frames that are ours to judge get the fate of those that nothing reaches. */
void crn_frames_begin(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->frame_count; i++) {
        struct crn_target target;
        bool is_final = snap->frames[i].is_final;
        if (!crn_target_find(mark, snap->frames[i].start, &target) ||
            (mark->colours[target.slot] & CRN_COLOUR_FOREIGN) != 0 ||
            crn_block_is_bereft(mark, target.slot)) /* lost like any other block */
            continue;
        mark->frame_fates[i] = is_final ? CRN_FRAME_FINISHED : CRN_FRAME_ABANDONED;
        if (is_final)
            crn_colour_close(mark, target.slot, CRN_COLOUR_FRAME);
    }
}

void crn_frames_settle(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->frame_count; i++) {
        struct crn_target target;
        if (mark->frame_fates[i] != CRN_FRAME_ABANDONED ||
            !crn_target_find(mark, snap->frames[i].start, &target))
            continue;
        if (crn_is_white(mark, target.slot))
            crn_colour_close(mark, target.slot, CRN_COLOUR_FRAME);
        else
            mark->frame_fates[i] = CRN_FRAME_LIVE;
    }
}

bool crn_frame_hold(struct crn_mark *mark, uintptr_t start)
{
    uint32_t frame = crn_frame_find(mark->snap, start);
    if (frame == 0 || mark->frame_fates[frame - 1] != CRN_FRAME_FINISHED)
        return false;
    mark->frame_fates[frame - 1] = CRN_FRAME_HELD;
    return true;
}

struct crn_holder crn_coro_describe(const struct crn_snap *snap, uint32_t number)
{
    if (number >= snap->coro_count) {
        const struct crn_snap_frame *frame = &snap->frames[number - snap->coro_count];
        struct crn_block block;
        bool is_inside = crn_index_find(&snap->heap->index, frame->start, &block);
        return (struct crn_holder){
            .mechanism = CRN_MECHANISM_CXX20,
            .state = frame->is_final ? CRN_CORO_COMPLETED : CRN_CORO_SUSPENDED,
            .created_node = is_inside ? block.record->stack : 0,
            .suspended_node = snap->frame_node_get != NULL && !frame->is_final
                                  ? snap->frame_node_get(snap, frame)
                                  : 0,
            .entry = snap->frame_kinds[frame->kind].resume,
            .suspension = frame->suspension,
            .count = 1,
            .example_coro = number,
            .stack_bytes = is_inside ? block.size : 0,
            .born = is_inside ? crn_birth_of(snap->heap, block.record) : 0,
        };
    }
    const struct crn_snap_coro *coro = &snap->coros[number];
    return (struct crn_holder){
        .mechanism = coro->mechanism,
        .state = coro->state,
        .created_node = coro->created_node,
        .suspended_node =
            snap->suspended_node_get != NULL ? snap->suspended_node_get(snap, coro) : 0,
        .entry = coro->entry,
        .count = 1,
        .example_coro = number,
        .stack_bytes = coro->stack_end - coro->stack_start,
        .born = coro->born,
    };
}
