/*
 * Coroutines that only spare memory of containers leads to.  See spare.h.
 */
#include "mark/spare.h"

/* Whether some coroutine is suspended, and live because something leads to it. */
static bool has_suspended(const struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->frame_count; i++)
        if (!snap->frames[i].is_final && mark->frame_fates[i] == CRN_FRAME_LIVE)
            return true;
    for (size_t i = 0; i < snap->coro_count; i++)
        if (mark->coro_reached[i] && !snap->coros[i].is_root)
            return true;
    return false;
}

static void frames_compare(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->frame_count; i++) {
        struct crn_target target;
        if (snap->frames[i].is_final || mark->frame_fates[i] != CRN_FRAME_LIVE ||
            !crn_target_find(mark, snap->frames[i].start, &target) ||
            !crn_bit_get(mark->spare_held, target.slot))
            continue;
        mark->frame_fates[i] = CRN_FRAME_ABANDONED;
        mark->is_spare_judged = true;
        crn_colour_close(mark, target.slot, CRN_COLOUR_FRAME);
    }
}

static void coros_compare(struct crn_mark *mark, const struct crn_mark *without)
{
    size_t count = mark->snap->coro_count;
    uint8_t *doubted = mark->coro_doubted;
    if (doubted == NULL)
        doubted = crn_arena_alloc(&mark->arena, count + 1);
    for (size_t i = 0; doubted != NULL && i < count; i++) {
        if (!mark->coro_reached[i] || without->coro_reached[i])
            continue;
        mark->coro_reached[i] = 0;
        doubted[i] = CRN_DOUBT_SPARE;
        mark->is_spare_judged = true;
    }
    mark->coro_doubted = doubted;
}

static void compare(struct crn_mark *mark, const struct crn_mark *without)
{
    frames_compare(mark);
    coros_compare(mark, without);
}

void crn_spares_judge(struct crn_mark *mark)
{
    if (has_suspended(mark))
        crn_spares_compare(mark, compare);
}

void crn_spares_open(struct crn_mark *mark)
{
    const unsigned live = CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE;
    for (size_t slot = 0; mark->is_spare_judged && slot < mark->slot_count; slot++) {
        uint8_t *colour = &mark->colours[slot];
        if (!crn_bit_get(mark->spare_held, (crn_slot)slot) || (*colour & CRN_COLOUR_MASK) != live)
            continue;
        *colour = (uint8_t)((*colour & ~CRN_COLOUR_MASK) | CRN_COLOUR_WHITE);
        if (crn_colour_is_plain(*colour))
            crn_bit_set(mark->fresh, (crn_slot)slot);
    }
}

void crn_spares_close(struct crn_mark *mark)
{
    for (size_t slot = 0; mark->is_spare_judged && slot < mark->slot_count; slot++)
        if (crn_bit_get(mark->spare_held, (crn_slot)slot) && crn_is_white(mark, (crn_slot)slot))
            crn_colour_set(mark, (crn_slot)slot, CRN_VERDICT_LIVE);
}
