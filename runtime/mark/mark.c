/*
 * The colours, and the flood of what is live.  See mark.h.
 *
 * The flood is bound by cache misses, not by instructions: each word costs a look at its block's
 * colour somewhere in memory, each block a look at its contents.  So a word that points to the
 * heap waits in a short queue while its colour is on the way, and a block that was marked waits
 * in another while its first lines are.  (A FIFO of prefetched work: Cher, Hosking, Vitek,
 * "Software prefetching for mark-sweep garbage collection", ASPLOS 2004.)
 */
#include "mark/flood.h"
#include "coro/scope.h"

#include <string.h>

enum { WORDS_AHEAD = 16 };

struct live_flood {
    struct crn_scan scan; /* first: visitors cast back */
    struct crn_mark *mark;
    struct crn_worklist blocks; /* marked, not scanned */
    struct crn_worklist coros;  /* reached, not scanned */
    uintptr_t words[WORDS_AHEAD];
    unsigned word_at;
    uintptr_t region_base, region_bytes;
    bool has_coros, has_done_locals, is_out_of_memory;
};

CRN_INLINE bool target_in_page(const struct crn_mark *mark, size_t page, uintptr_t offset,
                               struct crn_target *target)
{
    const struct crn_index *index = &mark->snap->heap->index;
    uint64_t word = index->pages[page];
    unsigned phase = crn_page_phase(word);
    if (word == 0 || offset < phase)
        return false;
    const struct crn_class *class = &crn_classes[crn_page_class(word)];
    uint32_t slot = class->bytes < CRN_PAGE_BYTES
                        ? (uint32_t)((offset - phase) * (uint64_t) class->reciprocal >> 32)
                        : 0;
    target->slot = crn_page_first(word) + slot;
    target->start = index->base + (page << CRN_PAGE_SHIFT) + phase + slot * class->bytes;
    target->bytes = class->bytes;
    return mark->colours[target->slot] != CRN_COLOUR_NONE;
}

static bool target_outside(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    const struct crn_snap *snap = mark->snap;
    size_t low = 0, high = snap->outside_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->outside[middle].start <= word)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return false;
    const struct crn_outside_block *block = &snap->outside[low - 1];
    if (word - block->start >= block->usable)
        return false;
    *target =
        (struct crn_target){(crn_slot)(mark->record_count + low - 1), block->start, block->usable};
    return true;
}

bool crn_target_find(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    uintptr_t offset = word - mark->snap->heap->index.base;
    size_t page = offset >> CRN_PAGE_SHIFT;
    if (CRN_UNLIKELY(page >= mark->pages))
        return mark->snap->outside_count != 0 && target_outside(mark, word, target);
    if (CRN_LIKELY_TRUE(target_in_page(mark, page, offset & (CRN_PAGE_BYTES - 1), target)))
        return true;
    /* The block that covers the start of this page began in an earlier one, as its last. */
    if (mark->cover[page] == 0)
        return false;
    return target_in_page(mark, mark->cover[page] - 1, CRN_PAGE_BYTES - 1, target) &&
           word - target->start < target->bytes;
}

struct crn_record *crn_slot_record(const struct crn_mark *mark, crn_slot slot)
{
    return slot < mark->record_count ? &mark->snap->heap->index.records[slot]
                                     : &mark->snap->outside[slot - mark->record_count].record;
}

static bool block_colour(const struct crn_block *block, void *user)
{
    struct crn_mark *mark = user;
    const struct crn_index *index = &mark->snap->heap->index;
    size_t slot = (size_t)(block->record - index->records);
    bool is_ours = crn_record_birth(block->record) >= mark->snap->birth_from;
    mark->colours[slot] = (uint8_t)(CRN_COLOUR_WHITE | (is_ours ? 0 : CRN_COLOUR_FOREIGN));
    mark->live_blocks += is_ours;
    mark->live_bytes += is_ours ? block->size : 0;
    size_t page = (block->start - index->base) >> CRN_PAGE_SHIFT;
    size_t last = (block->start + block->usable - 1 - index->base) >> CRN_PAGE_SHIFT;
    for (size_t covered = page + 1; covered <= last && covered < mark->pages; covered++)
        mark->cover[covered] = (uint32_t)page + 1;
    return true;
}

enum crn_status crn_colours_build(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    const struct crn_index *index = &snap->heap->index;
    mark->pages = index->span != 0 ? (snap->heap_end - index->base) >> CRN_PAGE_SHIFT : 0;
    if (mark->pages > index->pages_span.committed / sizeof(uint64_t))
        mark->pages = index->pages_span.committed / sizeof(uint64_t);
    mark->record_count = index->records_made;
    mark->slot_count = mark->record_count + snap->outside_count;
    mark->colours = crn_arena_alloc(&mark->arena, mark->slot_count + 1);
    mark->cover = crn_arena_alloc(&mark->arena, (mark->pages + 1) * sizeof *mark->cover);
    mark->coro_reached = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->coro_held = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->frame_fates = crn_arena_alloc(&mark->arena, snap->frame_count + 1);
    if (mark->arena.exhausted)
        return CRN_ERR_NO_MEMORY;
    crn_index_for_each(index, snap->heap_end, block_colour, mark);
    for (size_t i = 0; i < snap->outside_count; i++) {
        const struct crn_record *record = &snap->outside[i].record;
        bool is_ours = crn_record_birth(record) >= snap->birth_from;
        mark->colours[mark->record_count + i] =
            (uint8_t)(CRN_COLOUR_WHITE | (is_ours ? 0 : CRN_COLOUR_FOREIGN));
        mark->live_blocks += is_ours;
        mark->live_bytes += is_ours ? crn_record_size(record) : 0;
    }
    for (size_t i = 0; i < snap->opaque_count; i++) {
        struct crn_target target;
        if (crn_target_find(mark, snap->opaques[i].start, &target))
            mark->colours[target.slot] |= CRN_COLOUR_SPECIAL;
        /* One past the end of a stack may be a handle, and then lies in the next block. */
        if (!snap->opaques[i].is_context && crn_target_find(mark, snap->opaques[i].end, &target))
            mark->colours[target.slot] |= CRN_COLOUR_SPECIAL;
    }
    crn_frames_begin(mark);
    return CRN_OK;
}

static void coro_reach(struct live_flood *flood, uint32_t index)
{
    const struct crn_snap_coro *coro = &flood->mark->snap->coros[index];
    if (flood->mark->coro_reached[index] || coro->state == CRN_CORO_COMPLETED ||
        coro->state == CRN_CORO_CANCELLED)
        return;
    flood->mark->coro_reached[index] = 1;
    flood->is_out_of_memory |= !crn_worklist_push(&flood->coros, index);
}

static void live_reach(struct crn_scan *scan, uint32_t coro, uintptr_t address)
{
    (void)address;
    coro_reach((struct live_flood *)scan, coro);
}

/* Marks what the word points to, if it is new. */
CRN_INLINE void word_settle(struct live_flood *flood, uintptr_t word)
{
    struct crn_mark *mark = flood->mark;
    struct crn_target target;
    if (CRN_UNLIKELY(mark->snap->link_count != 0) && crn_word_is_link(mark, word))
        return;
    bool is_found = crn_target_find(mark, word, &target);
    uint8_t colour = is_found ? mark->colours[target.slot] : 0;
    if (CRN_UNLIKELY((colour & CRN_COLOUR_SPECIAL) || (!is_found && flood->has_coros))) {
        uint32_t coro = crn_word_coro(mark, word);
        if (coro != 0)
            coro_reach(flood, coro - 1);
    }
    if ((colour & CRN_COLOUR_MASK) != CRN_COLOUR_WHITE)
        return;
    if (CRN_UNLIKELY(colour & CRN_COLOUR_FRAME)) {
        crn_frame_hold(mark, target.start);
        return;
    }
    crn_colour_set(mark, target.slot, CRN_VERDICT_LIVE);
    flood->is_out_of_memory |= !crn_worklist_push(&flood->blocks, target.start);
}

static void live_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct live_flood *flood = (struct live_flood *)scan;
    if (CRN_UNLIKELY(flood->has_done_locals) && crn_local_is_done(flood->mark, address))
        return;
    if (CRN_LIKELY_TRUE(word - flood->region_base < flood->region_bytes)) {
        const struct crn_index *index = &flood->mark->snap->heap->index;
        size_t page = (word - flood->region_base) >> CRN_PAGE_SHIFT;
        uint64_t page_word = index->pages[page];
        if (page_word == 0)
            return word_settle(flood, word); /* inside a large block, or nothing */
        uint64_t slot = (word & (CRN_PAGE_BYTES - 1)) *
                            (uint64_t)crn_classes[crn_page_class(page_word)].reciprocal >>
                        32;
        __builtin_prefetch(&flood->mark->colours[crn_page_first(page_word) + slot]);
        __builtin_prefetch((const void *)word); /* most words lead to blocks not seen yet */
        uintptr_t waited = flood->words[flood->word_at];
        flood->words[flood->word_at] = word;
        flood->word_at = (flood->word_at + 1) % WORDS_AHEAD;
        if (waited != 0)
            word_settle(flood, waited);
        return;
    }
    if (flood->has_coros && !crn_word_is_link(flood->mark, word)) {
        /* Its own end is where a neighbour's stack may begin: no handle of that one. */
        bool is_own_end = scan->own_stack != 0 &&
                          word == flood->mark->snap->coros[scan->own_stack - 1].stack_end;
        uint32_t coro = is_own_end ? 0 : crn_word_coro(flood->mark, word);
        if (coro != 0)
            coro_reach(flood, coro - 1);
    }
    if (flood->mark->snap->outside_count != 0)
        word_settle(flood, word);
}

static void words_drain(struct live_flood *flood)
{
    for (unsigned i = 0; i < WORDS_AHEAD; i++) {
        uintptr_t word = flood->words[i];
        flood->words[i] = 0;
        if (word != 0)
            word_settle(flood, word);
    }
}

/* Scans marked blocks until none is left. */
static void blocks_drain(struct live_flood *flood)
{
    struct crn_ahead ahead = {.count = 0};
    do {
        for (uintptr_t start; (start = crn_ahead_next(&ahead, &flood->blocks)) != 0;) {
            struct crn_target target;
            if (crn_target_find(flood->mark, start, &target))
                crn_scan_block(&flood->scan, target.start, target.bytes);
        }
        words_drain(flood);
    } while (flood->blocks.count > 0);
}

/* What the program said it will never free, and what that leads to. */
static void ignored_visit(struct crn_target target, void *user)
{
    struct live_flood *flood = user;
    if (crn_slot_record(flood->mark, target.slot)->coro == CRN_OWNER_IGNORED)
        word_settle(flood, target.start);
}

enum crn_status crn_flood_live(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    struct live_flood flood = {
        .scan = {.mark = mark, .visit = live_visit, .reach = live_reach},
        .mark = mark,
        .region_base = snap->heap->index.base,
        .region_bytes = mark->pages << CRN_PAGE_SHIFT,
        .has_coros = snap->coro_count > 0,
        .has_done_locals = crn_has_done_locals(mark),
    };
    if (!crn_worklist_init(&flood.blocks, mark->slot_count) ||
        !crn_worklist_init(&flood.coros, snap->coro_count))
        return CRN_ERR_NO_MEMORY;
    for (uint32_t i = 0; i < snap->coro_count; i++)
        if (snap->coros[i].is_root)
            coro_reach(&flood, i);
    if (snap->has_ignored)
        crn_mark_for_each_white(mark, ignored_visit, &flood);
    for (size_t i = 0; i < snap->root_count; i++)
        crn_scan_root(&flood.scan, &snap->roots[i]);
    do {
        blocks_drain(&flood);
        while (flood.coros.count > 0) {
            uint32_t coro = (uint32_t)crn_worklist_pop(&flood.coros);
            crn_scan_body(&flood.scan, coro);
            crn_scan_zone(&flood.scan, coro);
        }
        words_drain(&flood);
    } while (flood.blocks.count > 0 || flood.coros.count > 0);
    crn_worklist_free(&flood.blocks);
    crn_worklist_free(&flood.coros);
    crn_frames_settle(mark);
    return flood.is_out_of_memory ? CRN_ERR_NO_MEMORY : CRN_OK;
}

void crn_mark_for_each_white(const struct crn_mark *mark,
                             void (*visit)(struct crn_target target, void *user), void *user)
{
    /* By colour, a byte a block, rather than by record: few are white. */
    const struct crn_index *index = &mark->snap->heap->index;
    for (size_t page = 0; page < mark->pages; page++) {
        uint64_t word = index->pages[page];
        if (word == 0)
            continue;
        uint64_t bytes = crn_classes[crn_page_class(word)].bytes;
        uintptr_t start = index->base + (page << CRN_PAGE_SHIFT) + crn_page_phase(word);
        crn_slot slot = crn_page_first(word);
        for (unsigned left = crn_page_slots(word); left > 0; left--, slot++, start += bytes)
            if (slot < mark->record_count && crn_is_white(mark, slot))
                visit((struct crn_target){slot, start, bytes}, user);
    }
    for (size_t i = 0; i < mark->snap->outside_count; i++) {
        const struct crn_outside_block *block = &mark->snap->outside[i];
        crn_slot slot = (crn_slot)(mark->record_count + i);
        if (crn_is_white(mark, slot))
            visit((struct crn_target){slot, block->start, block->usable}, user);
    }
}
