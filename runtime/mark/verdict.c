/*
 * What is not live: which dead continuation holds it, and how blocks become leaks.
 *
 * Order of the floods: stale, completed, cancelled, abandoned, then lost; of one kind the likely
 * holders before the sure ones, so that of two holders the less sure decides.  Every flood has two
 * passes: first all that the dead bodies themselves point to (direct), then what those lead to
 * (indirect).  What no continuation holds is lost: see lost.c.
 */
#include "mark/leaks.h"
#include "mark/spare.h"

#include <string.h>

static bool is_dead(const struct crn_mark *mark, uint32_t index, enum crn_verdict verdict)
{
    const struct crn_snap_coro *coro = &mark->snap->coros[index];
    if (verdict == CRN_VERDICT_COMPLETED)
        return coro->state == CRN_CORO_COMPLETED &&
               (!coro->keeps_body || mark->coro_reached[index]);
    if (verdict == CRN_VERDICT_CANCELLED)
        return coro->state == CRN_CORO_CANCELLED;
    return !crn_snap_coro_is_over(coro) && !mark->coro_reached[index];
}

static bool keeps_result(const struct crn_mark *mark, uint32_t index)
{
    const struct crn_snap_coro *coro = &mark->snap->coros[index];
    return coro->keeps_result && coro->state == CRN_CORO_COMPLETED;
}

/* Completed ones whose frames are held: what they left may be a result that is yet to be taken. */
static void results_find(struct crn_mark *mark)
{
    for (uint32_t i = 0; i < mark->snap->coro_count; i++) {
        struct crn_target target;
        mark->coro_held[i] = keeps_result(mark, i) &&
                             crn_target_find(mark, mark->snap->coros[i].stack_start, &target) &&
                             !crn_is_white(mark, target.slot);
    }
}

static bool is_sure(const struct crn_mark *mark, uint32_t index)
{
    return mark->snap->coros[index].is_sure && !mark->coro_held[index] &&
           crn_coro_doubt(mark, index) == CRN_DOUBT_NONE;
}

/*
 * What a completed coroutine left may name, by accident, memory that has become an abandoned one's
 * stack or control block: those are the abandoned one's own.  A dead frame is its own coroutine
 * whoever leads there.
 */
static bool is_anothers_own(struct crn_leak_flood *flood, const struct crn_target *target)
{
    if ((flood->mark->colours[target->slot] & CRN_COLOUR_FRAME) != 0) {
        if (flood->verdict == CRN_VERDICT_COMPLETED && flood->confidence == CRN_LIKELY)
            flood->has_held_more |= crn_frame_hold(flood->mark, target->start);
        return true;
    }
    if (flood->verdict != CRN_VERDICT_COMPLETED ||
        (flood->mark->colours[target->slot] & CRN_COLOUR_SPECIAL) == 0)
        return false;
    uint32_t coro = crn_block_coro(flood->mark, target->start, target->bytes);
    if (coro != 0 && keeps_result(flood->mark, coro - 1)) {
        if (flood->confidence == CRN_LIKELY && !flood->mark->coro_held[coro - 1]) {
            flood->mark->coro_held[coro - 1] = true;
            flood->has_held_more = true;
        }
        return true;
    }
    return coro != 0 && is_dead(flood->mark, coro - 1, CRN_VERDICT_ABANDONED);
}

static void direct_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct crn_leak_flood *flood = (struct crn_leak_flood *)scan;
    struct crn_target target;
    const struct crn_snap *snap = flood->mark->snap;
    /* A body never vouches for its own stack. */
    if (flood->coro != 0 && flood->coro <= snap->coro_count &&
        word - snap->coros[flood->coro - 1].stack_start <
            snap->coros[flood->coro - 1].stack_end - snap->coros[flood->coro - 1].stack_start)
        return;
    if (!crn_target_find(flood->mark, word, &target) || !crn_is_white(flood->mark, target.slot) ||
        is_anothers_own(flood, &target))
        return;
    crn_leak_enter(flood, &target, true, address);
}

static void indirect_enter(struct crn_leak_flood *flood, const struct crn_target *target,
                           crn_work work)
{
    crn_leak_enter(flood, target, false, 0);
    crn_flood_push(&flood->flood, work);
}

/* What was collected is indirect, in the group that is flooded. */
static void indirect_settle(struct crn_flood *engine)
{
    struct crn_leak_flood *flood = engine->user;
    struct crn_mark *mark = flood->mark;
    struct crn_found_works found;
    crn_flood_look_up(engine, &found);
    for (unsigned i = 0; i < found.count; i++) {
        __builtin_prefetch(&mark->colours[found.slots[i]], 1);
        __builtin_prefetch(&mark->snap->heap->index.records[found.slots[i]]);
    }
    for (unsigned i = 0; i < found.count; i++) {
        const struct crn_target target = {found.slots[i], crn_work_start(found.works[i]),
                                          crn_work_bytes(found.works[i])};
        indirect_enter(flood, &target, found.works[i]);
    }
    for (unsigned i = 0; i < found.doubt_count; i++) {
        struct crn_target target;
        if (crn_target_find(mark, found.doubts[i], &target) && crn_is_white(mark, target.slot) &&
            !is_anothers_own(flood, &target))
            indirect_enter(flood, &target, target.start);
    }
}

/* Floods from the direct leaks that were entered since `first`. */
static void leads_follow(struct crn_leak_flood *flood, size_t first)
{
    size_t directs = flood->groups->suspect_count;
    for (size_t i = first; i < directs; i++) {
        struct crn_suspect direct = flood->groups->suspects[i];
        struct crn_target target;
        if (crn_target_find(flood->mark, direct.start, &target))
            crn_leak_follow(flood, &target, direct.group);
    }
}

/* The block that holds an address of a dead coroutine's own: its stack, its context. */
static void own_block_enter(struct crn_leak_flood *flood, uintptr_t address)
{
    struct crn_target target;
    if (crn_target_cover(flood->mark, address, &target) && crn_is_white(flood->mark, target.slot))
        crn_leak_enter(flood, &target, true, 0);
}

static void coro_bodies_scan(struct crn_leak_flood *flood)
{
    struct crn_mark *mark = flood->mark;
    const struct crn_snap *snap = mark->snap;
    for (uint32_t i = 0; i < snap->coro_count; i++) {
        const struct crn_snap_coro *coro = &snap->coros[i];
        bool is_due = is_sure(mark, i) == (flood->confidence == CRN_PROVEN);
        bool is_body_due = flood->verdict == CRN_VERDICT_COMPLETED && coro->never_goes_on &&
                           flood->confidence == CRN_LIKELY;
        if (!is_dead(mark, i, flood->verdict) || !(is_due || is_body_due))
            continue;
        flood->coro = i + 1;
        flood->holder = crn_groups_holder(flood->groups, i, flood->verdict);
        flood->scan.visit = direct_visit;
        if (flood->verdict == CRN_VERDICT_COMPLETED) {
            /* Whatever it left, wherever on its stack: nobody will read it. */
            flood->scan.step = snap->is_unaligned ? 1 : 4;
            flood->scan.own_stack = i + 1;
            if (is_due)
                crn_scan_range(&flood->scan, coro->stack_start,
                               coro->keeps_body ? coro->body_start : coro->stack_end, true);
            if (is_body_due) /* that its frames will not be read again is a guess */
                crn_scan_body(&flood->scan, i);
        } else {
            crn_scan_body(&flood->scan, i);
        }
        if (coro->probe != 0 && flood->verdict != CRN_VERDICT_ABANDONED)
            own_block_enter(flood, coro->stack_start); /* its frame, unless somebody holds it */
    }
}

/* What only words hold that the code will not read again. */
static void dead_words_find(struct crn_leak_flood *flood)
{
    const struct crn_mark *mark = flood->mark;
    flood->verdict = CRN_VERDICT_STALE;
    for (int confidence = CRN_LIKELY; confidence <= CRN_PROVEN; confidence++) {
        size_t first = flood->groups->suspect_count;
        flood->confidence = (enum crn_confidence)confidence;
        /* The outermost frame's first: it is the program's rather than a library's. */
        for (size_t i = mark->stale_count; i-- > 0;) {
            const struct crn_stale_word *row = &mark->stale_words[i];
            if (row->place == 0 ||
                mark->places[row->place - 1].is_certain != (confidence == CRN_PROVEN))
                continue;
            flood->place = row->place;
            flood->coro = row->coro;
            flood->holder = row->coro != 0
                                ? crn_groups_holder(flood->groups, row->coro - 1, CRN_VERDICT_STALE)
                                : 0;
            direct_visit(&flood->scan, row->word, row->address);
        }
        leads_follow(flood, first);
    }
    flood->place = 0;
}

/* What only a slot holds that was declared done. */
static void stale_find(struct crn_leak_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    size_t first = flood->groups->suspect_count;
    flood->verdict = CRN_VERDICT_STALE;
    flood->confidence = CRN_PROVEN;
    for (size_t i = 0; i < snap->local_count; i++) {
        const struct crn_snap_local *local = &snap->locals[i];
        uintptr_t word;
        if (!local->is_done || !flood->mark->coro_reached[local->coro] ||
            !crn_memory_read(&word, local->slot, sizeof word))
            continue;
        flood->coro = local->coro + 1;
        flood->holder = crn_groups_holder(flood->groups, local->coro, CRN_VERDICT_STALE);
        direct_visit(&flood->scan, word & CRN_ADDRESS_MASK, local->slot);
    }
    leads_follow(flood, first);
}

/* Own stacks and control blocks of abandoned coroutines, one pass over the opaque ranges. */
static void abandoned_blocks_enter(struct crn_leak_flood *flood)
{
    const struct crn_mark *mark = flood->mark;
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->opaque_count; i++) {
        const struct crn_opaque *opaque = &snap->opaques[i];
        if ((opaque->is_context && !opaque->is_handle) ||
            !is_dead(mark, opaque->coro, CRN_VERDICT_ABANDONED) ||
            is_sure(mark, opaque->coro) != (flood->confidence == CRN_PROVEN))
            continue;
        flood->coro = opaque->coro + 1;
        flood->holder = crn_groups_holder(flood->groups, opaque->coro, CRN_VERDICT_ABANDONED);
        own_block_enter(flood, opaque->start);
    }
}

/* Whether a frame's turn has come. */
static bool frame_is_due(const struct crn_leak_flood *flood, size_t frame, crn_slot slot)
{
    bool is_proven = flood->confidence == CRN_PROVEN;
    bool is_doubted = crn_block_doubt(flood->mark, slot) != CRN_DOUBT_NONE;
    switch (flood->mark->frame_fates[frame]) {
    case CRN_FRAME_ABANDONED:
        return flood->verdict == CRN_VERDICT_ABANDONED &&
               (flood->mark->snap->frames[frame].is_sure && !is_doubted) == is_proven;
    case CRN_FRAME_HELD:
        return flood->verdict == CRN_VERDICT_COMPLETED && !is_proven;
    case CRN_FRAME_FINISHED:
        return flood->verdict == CRN_VERDICT_COMPLETED && is_proven == !is_doubted;
    default:
        return false;
    }
}

/* Dead frames, and the blocks their words point to. */
static void frames_scan(struct crn_leak_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    for (size_t i = 0; i < snap->frame_count; i++) {
        struct crn_target target;
        uint32_t number = (uint32_t)(snap->coro_count + i);
        if (!crn_target_find(flood->mark, snap->frames[i].start, &target) ||
            !frame_is_due(flood, i, target.slot) || !crn_is_white(flood->mark, target.slot))
            continue;
        flood->coro = number + 1;
        flood->holder = crn_groups_holder(flood->groups, number, flood->verdict);
        flood->scan.visit = direct_visit;
        crn_leak_enter(flood, &target, true, 0);
        crn_scan_block(&flood->scan, target.start, target.bytes);
    }
}

/* Direct ones first, each coroutine's own before what others point to; then what they lead to. */
static void coro_leaks_pass(struct crn_leak_flood *flood)
{
    size_t first = flood->groups->suspect_count;
    if (flood->verdict == CRN_VERDICT_ABANDONED)
        abandoned_blocks_enter(flood);
    frames_scan(flood);
    coro_bodies_scan(flood);
    leads_follow(flood, first);
}

static void coro_leaks_find(struct crn_leak_flood *flood, enum crn_verdict verdict)
{
    flood->verdict = verdict;
    for (int confidence = CRN_LIKELY; confidence <= CRN_PROVEN; confidence++) {
        flood->confidence = (enum crn_confidence)confidence;
        /* What spare memory may hold is no more than likely. */
        bool is_open = verdict == CRN_VERDICT_ABANDONED && confidence == CRN_LIKELY;
        if (is_open)
            crn_spares_open(flood->mark);
        do {
            flood->has_held_more = false;
            coro_leaks_pass(flood);
        } while (flood->has_held_more);
        if (is_open)
            crn_spares_close(flood->mark);
    }
}

/* What is white but not ours to judge is nobody's leak here, nor is what it leads to. */
static void foreign_visit(struct crn_target target, void *user)
{
    struct crn_leak_flood *flood = user;
    if ((flood->mark->colours[target.slot] & CRN_COLOUR_FOREIGN) != 0) {
        crn_colour_set(flood->mark, target.slot, flood->verdict);
        crn_leak_follow(flood, &target, CRN_NO_GROUP);
    }
}

static void states_count(struct crn_mark *mark)
{
    for (uint32_t i = 0; i < mark->snap->coro_count; i++) {
        enum crn_coro_state state = mark->snap->coros[i].state;
        bool is_abandoned = is_dead(mark, i, CRN_VERDICT_ABANDONED);
        mark->coros_in_state[is_abandoned ? CRN_CORO_ABANDONED : state]++;
    }
    for (size_t i = 0; i < mark->snap->frame_count; i++)
        mark->coros_in_state[mark->snap->frames[i].is_final                   ? CRN_CORO_COMPLETED
                             : mark->frame_fates[i] == CRN_FRAME_ABANDONED ? CRN_CORO_ABANDONED
                                                                           : CRN_CORO_SUSPENDED]++;
}

enum crn_status crn_mark_run(struct crn_mark *mark, const struct crn_snap *snap)
{
    return crn_mark_run_again(mark, snap, NULL, 0);
}

enum crn_status crn_mark_run_again(struct crn_mark *mark, const struct crn_snap *snap,
                                   const struct crn_mark *earlier, uint64_t line)
{
    struct crn_groups groups;
    memset(mark, 0, sizeof *mark);
    mark->snap = snap;
    mark->earlier = earlier;
    mark->line = line;
    enum crn_status status = crn_colours_build(mark);
    if (status == CRN_OK)
        status = crn_flood_live(mark);
    if (status == CRN_OK && earlier == NULL)
        crn_spares_judge(mark);
    struct crn_leak_flood flood = {
        .scan = {.mark = mark}, .mark = mark, .groups = &groups, .flood.user = &flood};
    if (status == CRN_OK && (!crn_groups_init(&groups, mark) ||
                             !crn_flood_init(&flood.flood, mark, mark->fresh, indirect_settle,
                                             mark->slot_count)))
        status = CRN_ERR_NO_MEMORY;
    if (status != CRN_OK) {
        crn_mark_free(mark);
        return status;
    }
    results_find(mark);
    dead_words_find(&flood);
    stale_find(&flood);
    coro_leaks_find(&flood, CRN_VERDICT_COMPLETED);
    coro_leaks_find(&flood, CRN_VERDICT_CANCELLED);
    coro_leaks_find(&flood, CRN_VERDICT_ABANDONED);
    flood.verdict = CRN_VERDICT_LIVE;
    crn_whites_collect(mark);
    crn_mark_for_each(mark, mark->fresh, foreign_visit, &flood);
    crn_lost_find(&flood);
    crn_flood_fini(&flood.flood);
    states_count(mark);
    crn_groups_finish(&groups);
    if (flood.is_out_of_memory || flood.flood.is_out_of_memory || mark->arena.exhausted) {
        crn_mark_free(mark);
        return CRN_ERR_NO_MEMORY;
    }
    return CRN_OK;
}

enum crn_verdict crn_mark_verdict(const struct crn_mark *mark, uintptr_t address, bool *is_direct)
{
    struct crn_target target;
    if (!crn_target_find(mark, address, &target))
        return CRN_VERDICT_COUNT;
    *is_direct = (mark->colours[target.slot] & CRN_COLOUR_DIRECT) != 0;
    return (enum crn_verdict)((mark->colours[target.slot] & CRN_COLOUR_MASK) - CRN_COLOUR_VERDICT);
}
