/*
 * The flood of what is live.  See mark.h.
 */
#include "mark/ahead.h"
#include "mark/look.h"
#include "mark/slices.h"
#include "coro/scope.h"
#include "snap/readable.h"

struct live_flood {
    struct crn_flood flood;    /* first: visitors cast back */
    struct crn_worklist coros; /* reached, not scanned */
    bool has_coros, has_done_locals;
    struct crn_odd_look odd;
};

static void coro_reach(struct live_flood *live, uint32_t index)
{
    struct crn_mark *mark = live->flood.mark;
    const struct crn_snap_coro *coro = &mark->snap->coros[index];
    if (mark->coro_reached[index] || crn_snap_coro_is_over(coro))
        return;
    mark->coro_reached[index] = 1;
    live->flood.is_out_of_memory |= !crn_worklist_push(&live->coros, index);
}

static void live_reach(struct crn_scan *scan, uint32_t coro, uintptr_t address)
{
    (void)address;
    coro_reach((struct live_flood *)scan, coro);
}

/* Whether nothing led to a block so far. */
static bool is_news(const struct crn_mark *mark, crn_slot slot)
{
    return crn_is_white(mark, slot) &&
           (!crn_colour_is_plain(mark->colours[slot]) || crn_bit_get(mark->fresh, slot));
}

/* Marks what a word points to, if it is new, and enters the coroutine that it leads to. */
static void word_settle(struct live_flood *live, uintptr_t word)
{
    struct crn_mark *mark = live->flood.mark;
    struct crn_target target;
    bool is_found = crn_target_find(mark, word, &target);
    uint8_t colour = is_found ? mark->colours[target.slot] : 0;
    if ((colour & CRN_COLOUR_SPECIAL) != 0 || (!is_found && live->has_coros)) {
        uint32_t coro = crn_word_coro(mark, word);
        if (coro != 0)
            coro_reach(live, coro - 1);
    }
    if (!is_found || !is_news(mark, target.slot))
        return;
    if ((colour & CRN_COLOUR_FRAME) != 0) {
        crn_frame_hold(mark, target.start);
        return;
    }
    crn_colour_set(mark, target.slot, CRN_VERDICT_LIVE);
    crn_flood_push(&live->flood, target.start);
}

static void links_drop(struct crn_flood *flood)
{
    unsigned count = 0;
    for (unsigned i = 0; i < flood->word_count; i++)
        if (!crn_word_is_link(flood->mark, flood->words[i]))
            flood->words[count++] = flood->words[i];
    flood->word_count = count;
}

/* Takes the words that were collected: of plain blocks the cleared bit says enough. */
static void live_settle(struct crn_flood *flood)
{
    struct live_flood *live = (struct live_flood *)flood;
    struct crn_found_works found;
    if (flood->mark->snap->link_count != 0)
        links_drop(flood);
    crn_flood_look_up(flood, &found);
    for (unsigned i = 0; i < found.count; i++)
        crn_flood_push(flood, found.works[i]);
    for (unsigned i = 0; i < found.doubt_count; i++)
        word_settle(live, found.doubts[i]);
}

/* A word of a body, or any where locals were declared done: its address matters. */
static void live_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct live_flood *live = (struct live_flood *)scan;
    struct crn_flood *flood = &live->flood;
    if (CRN_UNLIKELY(live->has_done_locals) && crn_local_is_done(flood->mark, address))
        return;
    if (crn_flood_follows(flood, scan, word))
        crn_flood_add(flood, word);
}

/* What the program said it will never free, and what that leads to. */
static bool ignored_visit(const struct crn_block *block, void *user)
{
    if (block->record->coro == CRN_OWNER_IGNORED)
        crn_flood_add(user, block->start);
    return true;
}

static void ignored_enter(struct crn_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    crn_index_for_each(&snap->heap->index, snap->heap_end, ignored_visit, flood);
    for (size_t i = 0; i < snap->outside_count; i++)
        if (snap->outside[i].record.coro == CRN_OWNER_IGNORED)
            crn_flood_add(flood, snap->outside[i].start);
}

/* Stacks that lie in no block, where words are collected, too. */
static void stacks_collect(struct crn_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    uintptr_t low = flood->other, high = flood->other + flood->other_bytes;
    for (size_t i = 0; i < snap->opaque_count; i++) {
        const struct crn_opaque *opaque = &snap->opaques[i];
        if (opaque->start - flood->region < flood->region_bytes)
            continue;
        low = low == 0 || opaque->start < low ? opaque->start : low;
        high = opaque->end + 1 > high ? opaque->end + 1 : high;
    }
    flood->other = low;
    flood->other_bytes = high - low;
}

/* Whether a block of ours, or a coroutine, was not reached; settles nothing. */
static bool has_whites(const struct crn_mark *mark)
{
    for (size_t i = 0; i < mark->snap->coro_count; i++)
        if (!mark->coro_reached[i] && !crn_snap_coro_is_over(&mark->snap->coros[i]))
            return true;
    for (size_t i = 0; i < mark->bit_words * 64; i++) {
        uint8_t colour = mark->colours[i];
        bool is_new = crn_colour_is_plain(colour) ? crn_bit_get(mark->fresh, (crn_slot)i)
                                                  : (colour & CRN_COLOUR_MASK) == CRN_COLOUR_WHITE;
        if (is_new && (colour & CRN_COLOUR_FOREIGN) == 0)
            return true;
    }
    return false;
}

/* The bodies of coroutines that were reached meanwhile. */
static void bodies_scan(struct live_flood *live)
{
    while (live->coros.count > 0) {
        uint32_t coro = (uint32_t)crn_worklist_pop(&live->coros);
        crn_scan_reached(&live->flood.scan, coro);
    }
}

/* Until nothing new is met. */
static void live_drain(struct live_flood *live)
{
    do {
        crn_flood_drain(&live->flood);
        bodies_scan(live);
    } while (live->flood.word_count > 0 || live->flood.works.count > 0);
}

/*
 * Shared mappings are read a second time, for what is in the kernel's hands alone, where
 * something is left that it could hold: that may be gigabytes which other processes filled.
 */
static void shared_scan(struct live_flood *live)
{
    const struct crn_snap *snap = live->flood.mark->snap;
    struct crn_scan *scan = &live->flood.scan;
    if (snap->shared_count == 0 || !has_whites(live->flood.mark))
        return;
    scan->leaves_out = CRN_PARTS_TOUCHED | CRN_PARTS_COPIED;
    for (size_t i = 0; i < snap->root_count; i++)
        if (snap->roots[i].is_shared)
            crn_scan_root(scan, &snap->roots[i]);
    scan->leaves_out = 0;
    live_drain(live);
}

/* Reads what is met from now on at all offsets. */
static void any_run(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    struct live_flood *live = (struct live_flood *)scan;
    if (live->has_done_locals || scan->own_stack != 0)
        crn_scan_words(scan, start, end);
    else
        crn_flood_run(scan, start, end);
    if (scan->shift != 0)
        crn_odd_forget(&live->odd);
    crn_odd_read(&live->odd, start, end, scan->step);
}

static void odd_hold(struct crn_odd_look *look, uintptr_t word)
{
    crn_flood_add(look->user, word);
}

/* What is not live by now is looked for at odd offsets: see slices.h. */
static void odd_search(struct live_flood *live)
{
    crn_colours_settle(live->flood.mark);
    if (!crn_odd_begin(&live->odd, live->flood.mark))
        return;
    live->odd.hold = odd_hold;
    live->odd.user = &live->flood;
    crn_odd_search(&live->odd);
    live->flood.scan.run = any_run;
    live->flood.scan.runs_bodies = true;
    live_drain(live);
}

static void word_take(struct crn_flood *flood, uintptr_t word)
{
    word_settle((struct live_flood *)flood, word);
}

static void look_reach(struct crn_flood *flood, uint32_t coro)
{
    coro_reach((struct live_flood *)flood, coro);
}

/* The roots that hold whatever they point to; those of call frames only where nothing is asked. */
static void roots_scan(struct live_flood *live, bool asks)
{
    const struct crn_snap *snap = live->flood.mark->snap;
    struct crn_scan *scan = &live->flood.scan;
    for (size_t i = 0; i < snap->root_count; i++) {
        if (asks && crn_root_is_of_frames(&snap->roots[i]))
            continue;
        scan->leaves_out = snap->roots[i].is_shared ? CRN_PARTS_AWAY : 0;
        crn_scan_root(scan, &snap->roots[i]);
    }
    scan->leaves_out = 0;
}

enum crn_status crn_flood_live(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    struct live_flood live = {
        .flood.scan = {.visit = live_visit, .reach = live_reach},
        .has_coros = snap->coro_count > 0,
        .has_done_locals = crn_has_done_locals(mark),
    };
    struct crn_flood *flood = &live.flood;
    if (!crn_flood_init(flood, mark, mark->fresh, live_settle, mark->slot_count) ||
        !crn_worklist_init(&live.coros, snap->coro_count)) {
        crn_flood_fini(flood);
        return CRN_ERR_NO_MEMORY;
    }
    stacks_collect(flood);
    if (live.has_done_locals)
        flood->scan.run = NULL;
    for (uint32_t i = 0; i < snap->coro_count; i++)
        if (snap->coros[i].is_root)
            coro_reach(&live, i);
    if (snap->has_ignored)
        ignored_enter(flood);
    bool asks = crn_stale_is_asked(mark);
    struct crn_stale_look look = {
        .flood = flood, .coros = &live.coros, .take = word_take, .reach = look_reach};
    roots_scan(&live, asks);
    if (asks)
        crn_stale_look(&look);
    live_drain(&live);
    shared_scan(&live);
    odd_search(&live);
    crn_flood_fini(flood);
    crn_worklist_free(&live.coros);
    crn_colours_settle(mark);
    crn_frames_settle(mark);
    return flood->is_out_of_memory ? CRN_ERR_NO_MEMORY : CRN_OK;
}
