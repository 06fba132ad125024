/*
 * Which block a word points into, and what is known of each: rows, colours and bits.  See mark.h.
 *
 * Rows are a copy of the index's page map as it is now: they leave out pages whose blocks are all
 * dead, and know which block covers a page in which none starts.
 */
#include "mark/flood.h"

CRN_INLINE bool target_in_row(const struct crn_mark *mark, size_t page, unsigned in_page,
                              struct crn_target *target)
{
    uint64_t row = mark->rows[page];
    unsigned phase = crn_page_phase(row);
    if (!crn_row_has_blocks(row) || in_page < phase)
        return false;
    const struct crn_class *class = &crn_classes[crn_page_class(row)];
    /* The reciprocal of a class of a page or more takes any offset in a page to 0. */
    uint32_t slot = (uint32_t)((uint64_t)(in_page - phase) * class->reciprocal >> 32);
    target->slot = crn_page_first(row) + slot;
    target->start =
        mark->snap->heap->index.base + (page << CRN_PAGE_SHIFT) + phase + slot * class->bytes;
    target->bytes = class->bytes;
    return mark->colours[target->slot] != CRN_COLOUR_NONE;
}

/* The page + 1 where the block starts that may cover the first byte of `page`; 0: there is none. */
static size_t cover_of(const struct crn_mark *mark, size_t page)
{
    uint64_t row = mark->rows[page];
    if (!crn_row_has_blocks(row))
        return crn_page_first(row);
    if (page == 0)
        return 0;
    uint64_t before = mark->rows[page - 1];
    return crn_row_has_blocks(before) ? page : crn_page_first(before);
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
    if (CRN_LIKELY_TRUE(target_in_row(mark, page, offset & (CRN_PAGE_BYTES - 1), target)))
        return true;
    /* The block that covers the start of this page began in an earlier one, as its last. */
    size_t cover = cover_of(mark, page);
    return cover != 0 && target_in_row(mark, cover - 1, CRN_PAGE_BYTES - 1, target) &&
           word - target->start < target->bytes;
}

struct crn_record *crn_slot_record(const struct crn_mark *mark, crn_slot slot)
{
    return slot < mark->record_count ? &mark->snap->heap->index.records[slot]
                                     : &mark->snap->outside[slot - mark->record_count].record;
}

/* Enters one live block. */
CRN_INLINE void block_enter(struct crn_mark *mark, crn_slot slot, const struct crn_record *record)
{
    bool is_ours = crn_record_birth(record) >= mark->snap->birth_from;
    mark->colours[slot] = (uint8_t)(CRN_COLOUR_WHITE | (is_ours ? 0 : CRN_COLOUR_FOREIGN));
    crn_bit_set(mark->fresh, slot);
    mark->live_blocks += is_ours;
    mark->live_bytes += is_ours ? crn_record_size(record) : 0;
}

static bool block_visit(const struct crn_block *block, void *user)
{
    struct crn_mark *mark = user;
    const struct crn_index *index = &mark->snap->heap->index;
    size_t slot = (size_t)(block->record - index->records);
    size_t page = (block->start - index->base) >> CRN_PAGE_SHIFT;
    size_t last = (block->start + block->usable - 1 - index->base) >> CRN_PAGE_SHIFT;
    uint64_t row = index->pages[page];
    if (row != mark->rows[page]) {
        /* A thread that we could not stop may be making more. */
        if (crn_page_first(row) + crn_page_slots(row) > mark->record_count)
            return true;
        mark->rows[page] = row;
    }
    if (slot >= mark->record_count)
        return true;
    block_enter(mark, (crn_slot)slot, block->record);
    for (size_t covered = page + 1; covered <= last && covered < mark->pages; covered++)
        mark->rows[covered] = (uint64_t)(page + 1) << 32; /* until a block that starts there comes up */
    return true;
}

static void address_close(struct crn_mark *mark, uintptr_t address)
{
    struct crn_target target;
    if (crn_target_find(mark, address, &target))
        crn_colour_close(mark, target.slot, CRN_COLOUR_SPECIAL);
}

/* Blocks that cannot be read from end to end, like a stack with a guard page in it. */
static void unreadable_close(struct crn_mark *mark, struct crn_range range)
{
    uintptr_t base = mark->snap->heap->index.base, end = base + (mark->pages << CRN_PAGE_SHIFT);
    if (range.end <= base || range.start >= end)
        return;
    uintptr_t at = range.start > base ? range.start : base;
    end = range.end < end ? range.end : end;
    while (at < end) {
        struct crn_target target;
        uintptr_t next = crn_align_down(at, CRN_PAGE_BYTES) + CRN_PAGE_BYTES;
        if (crn_target_find(mark, at, &target)) {
            crn_colour_close(mark, target.slot, CRN_COLOUR_SPECIAL);
            next = target.start + target.bytes;
        } else if (mark->rows[(at - base) >> CRN_PAGE_SHIFT] != 0) {
            next = at + 16;
        }
        at = next;
    }
}

static void closed_find(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t i = 0; i < snap->opaque_count; i++) {
        address_close(mark, snap->opaques[i].start);
        /* One past the end of a stack may be a handle, and then lies in the next block. */
        if (!snap->opaques[i].is_context)
            address_close(mark, snap->opaques[i].end);
    }
    for (size_t i = 0; i < snap->unreadable_count; i++)
        unreadable_close(mark, snap->unreadable[i]);
    /* Coroutines may also be led to by words that no block holds. */
    mark->has_closed |= snap->coro_count > 0;
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
    mark->bit_words = mark->slot_count / 64 + 1;
    mark->colours = crn_arena_alloc(&mark->arena, mark->bit_words * 64);
    mark->fresh = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *mark->fresh);
    mark->rows = crn_arena_alloc(&mark->arena, (mark->pages + 1) * sizeof *mark->rows);
    mark->coro_reached = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->coro_held = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->frame_fates = crn_arena_alloc(&mark->arena, snap->frame_count + 1);
    if (mark->arena.exhausted)
        return CRN_ERR_NO_MEMORY;
    crn_index_for_each(index, snap->heap_end, block_visit, mark);
    for (size_t i = 0; i < snap->outside_count; i++)
        block_enter(mark, (crn_slot)(mark->record_count + i), &snap->outside[i].record);
    closed_find(mark);
    crn_frames_begin(mark);
    return CRN_OK;
}

void crn_colours_settle(struct crn_mark *mark)
{
    enum { CLASSED = CRN_COLOUR_MASK | CRN_COLOUR_SPECIAL | CRN_COLOUR_FRAME };
    for (size_t i = 0; i < mark->bit_words; i++) {
        uint8_t *colours = mark->colours + i * 64;
        uint64_t fresh = mark->fresh[i];
        for (unsigned k = 0; k < 64; k++) {
            bool is_taken = (fresh >> k & 1) == 0 && (colours[k] & CLASSED) == CRN_COLOUR_WHITE;
            colours[k] += is_taken ? CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE - CRN_COLOUR_WHITE : 0;
        }
    }
}

void crn_whites_collect(struct crn_mark *mark)
{
    for (size_t i = 0; i < mark->bit_words; i++) {
        const uint8_t *colours = mark->colours + i * 64;
        uint64_t whites = 0;
        for (unsigned k = 0; k < 64; k++)
            whites |=
                (uint64_t)((colours[k] & (CRN_COLOUR_MASK | CRN_COLOUR_FRAME)) == CRN_COLOUR_WHITE)
                << k;
        mark->fresh[i] = whites;
    }
}

/* Whether any of `count` bits from `first` on is set; up to a word too many are looked at. */
CRN_INLINE bool any_near(const uint64_t *bits, crn_slot first, unsigned count)
{
    uint64_t any = 0;
    for (size_t i = first / 64; i <= (first + count - 1) / 64; i++)
        any |= bits[i];
    return any != 0;
}

void crn_mark_for_each(const struct crn_mark *mark, const uint64_t *bits,
                       void (*visit)(struct crn_target target, void *user), void *user)
{
    uintptr_t base = mark->snap->heap->index.base;
    for (size_t page = 0; page < mark->pages; page++) {
        uint64_t row = mark->rows[page];
        if (!crn_row_has_blocks(row))
            continue;
        crn_slot slot = crn_page_first(row);
        unsigned left = crn_page_slots(row);
        if (!any_near(bits, slot, left))
            continue;
        uint64_t bytes = crn_classes[crn_page_class(row)].bytes;
        uintptr_t start = base + (page << CRN_PAGE_SHIFT) + crn_page_phase(row);
        for (; left > 0; left--, slot++, start += bytes)
            if (crn_bit_get(bits, slot))
                visit((struct crn_target){slot, start, bytes}, user);
    }
    for (size_t i = 0; i < mark->snap->outside_count; i++) {
        const struct crn_outside_block *block = &mark->snap->outside[i];
        crn_slot slot = (crn_slot)(mark->record_count + i);
        if (crn_bit_get(bits, slot))
            visit((struct crn_target){slot, block->start, block->usable}, user);
    }
}
