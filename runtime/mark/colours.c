/*
 * What is known of each block: rows, colours and bits.  See mark.h, and target.h for the rows.
 */
#include "mark/flood.h"
#include "mark/spare.h"

#include <string.h>

/* Enters one live block. */
CRN_INLINE void block_enter(struct crn_mark *mark, crn_slot slot, uintptr_t start,
                            const struct crn_record *record)
{
    uint64_t birth = crn_birth_of(mark->snap->heap, record);
    bool is_ours = birth >= mark->snap->birth_from;
    if (CRN_UNLIKELY(mark->bereft != NULL) && is_ours && birth < mark->line) {
        is_ours = crn_spare_is_judged(mark, start);
        if (is_ours)
            crn_bit_set(mark->bereft, slot);
    }
    mark->colours[slot] = (uint8_t)(CRN_COLOUR_WHITE | (is_ours ? 0 : CRN_COLOUR_FOREIGN));
    crn_bit_set(mark->fresh, slot);
    mark->live_blocks += is_ours;
    mark->live_bytes += is_ours ? crn_slot_size(mark, slot) : 0;
}

/* Enters a block that gets no rows; false: there is no memory for that. */
static bool wide_enter(struct crn_mark *mark, const struct crn_block *block, crn_slot slot)
{
    struct crn_span *span = &mark->spans[CRN_SPAN_WIDE];
    if (!crn_span_ensure(span, (mark->wide_count + 1) * sizeof(struct crn_target))) {
        mark->arena.exhausted = true;
        return false;
    }
    ((struct crn_target *)span->base)[mark->wide_count++] =
        (struct crn_target){slot, block->start, block->usable};
    block_enter(mark, slot, block->start, block->record);
    return true;
}

CRN_INLINE void row_set(struct crn_mark *mark, size_t page, uint64_t row)
{
    mark->row_masks[page >> CRN_ROWS_SHIFT] = SIZE_MAX;
    mark->rows[page + 1] = row;
}

static bool block_visit(const struct crn_block *block, void *user)
{
    struct crn_mark *mark = user;
    const struct crn_index *index = &mark->snap->heap->index;
    size_t slot = (size_t)(block->record - index->records);
    size_t page = (block->start - index->base) >> CRN_PAGE_SHIFT;
    size_t last = (block->start + block->usable - 1 - index->base) >> CRN_PAGE_SHIFT;
    uint64_t row = index->pages[page];
    if (block->usable >= CRN_WIDE_FROM_BYTES)
        return slot >= mark->record_count || wide_enter(mark, block, (crn_slot)slot);
    if (row != crn_row_get(mark, page)) {
        /* A thread that we could not stop may be making more. */
        if (crn_page_first(row) + crn_page_slots(row) > mark->record_count)
            return true;
        row_set(mark, page, row);
    }
    if (slot >= mark->record_count)
        return true;
    block_enter(mark, (crn_slot)slot, block->start, block->record);
    for (size_t covered = page + 1; covered <= last && covered < mark->pages; covered++)
        row_set(mark, covered,
                (uint64_t)(page + 1) << 32); /* until a block that starts there comes up */
    return true;
}

/* Numbers for the records of the pages in which blocks of a narrow picture begin, from 1. */
static bool numbers_make(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    const struct crn_index *index = &snap->heap->index;
    size_t last_page = SIZE_MAX, count = 1;
    for (size_t i = 0; i < snap->only_count; i++) {
        size_t page = (snap->only[i].start - index->base) >> CRN_PAGE_SHIFT;
        count += page != last_page ? crn_page_slots(index->pages[page]) : 0;
        last_page = page;
    }
    mark->record_of = crn_arena_alloc(&mark->arena, count * sizeof *mark->record_of);
    mark->record_count = count;
    return mark->record_of != NULL;
}

/* Where block_visit takes the index's numbers, these are made as pages come up. */
struct numbering {
    struct crn_mark *mark;
    size_t page;          /* the last one that came up */
    crn_slot first, next; /* its first number, and the next page's */
};

static bool narrow_visit(const struct crn_block *block, void *user)
{
    struct numbering *numbering = user;
    struct crn_mark *mark = numbering->mark;
    const struct crn_index *index = &mark->snap->heap->index;
    size_t page = (block->start - index->base) >> CRN_PAGE_SHIFT;
    size_t last = (block->start + block->usable - 1 - index->base) >> CRN_PAGE_SHIFT;
    uint64_t row = index->pages[page];
    uint32_t first = crn_page_first(row), record = (uint32_t)(block->record - index->records);
    bool is_wide = block->usable >= CRN_WIDE_FROM_BYTES;
    if (page != numbering->page) {
        numbering->page = page;
        numbering->first = numbering->next;
        numbering->next += crn_page_slots(row);
        for (uint32_t i = 0; i < crn_page_slots(row); i++)
            mark->record_of[numbering->first + i] = first + i;
        if (!is_wide)
            row_set(mark, page, (row & UINT32_MAX) | (uint64_t)numbering->first << 32);
    }
    crn_slot slot = numbering->first + (record - first);
    if (is_wide)
        return wide_enter(mark, block, slot);
    block_enter(mark, slot, block->start, block->record);
    for (size_t covered = page + 1; covered <= last && covered < mark->pages; covered++)
        row_set(mark, covered, (uint64_t)(page + 1) << 32);
    return true;
}

static void blocks_enter(struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    struct numbering numbering = {.mark = mark, .page = SIZE_MAX, .next = 1};
    for (size_t i = 0; snap->is_narrow && i < snap->only_count; i++)
        if (!narrow_visit(&snap->only[i], &numbering))
            return;
    if (!snap->is_narrow)
        crn_index_for_each(&snap->heap->index, snap->heap_end, block_visit, mark);
}

static void address_close(struct crn_mark *mark, uintptr_t address)
{
    struct crn_target target;
    if (crn_target_cover(mark, address, &target))
        crn_colour_close(mark, target.slot, CRN_COLOUR_SPECIAL);
}

/* Blocks that cannot be read from end to end, like a stack with a guard page in it. */
static void unreadable_close(struct crn_mark *mark, struct crn_unreadable range)
{
    uintptr_t base = mark->snap->heap->index.base, end = base + (mark->pages << CRN_PAGE_SHIFT);
    if (range.end <= base || range.start >= end)
        return;
    uintptr_t at = range.start > base ? range.start : base;
    end = range.end < end ? range.end : end;
    while (at < end) {
        struct crn_target target;
        uintptr_t next = crn_align_down(at, CRN_PAGE_BYTES) + CRN_PAGE_BYTES;
        if (crn_target_cover(mark, at, &target)) {
            crn_colour_close(mark, target.slot, CRN_COLOUR_SPECIAL);
            next = target.start + target.bytes;
        } else if (crn_row_get(mark, (at - base) >> CRN_PAGE_SHIFT) != 0) {
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

/* Zeroed; in huge pages, unless blocks are large and few and most rows will not be touched. */
static bool rows_make(struct crn_mark *mark)
{
    struct crn_span *span = &mark->spans[CRN_SPAN_ROWS];
    size_t bytes = (mark->pages + 2) * sizeof *mark->rows;
    mark->row_masks = crn_arena_alloc(&mark->arena, ((mark->pages >> CRN_ROWS_SHIFT) + 1) *
                                                        sizeof *mark->row_masks);
    if (mark->row_masks == NULL || !crn_span_init_passing(span, bytes) ||
        !crn_span_ensure(span, bytes))
        return false;
    if (mark->record_count >= mark->pages / 2)
        crn_vm_wish_huge(span->base, span->committed);
    mark->rows = (uint64_t *)span->base;
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
    if (snap->is_narrow && !numbers_make(mark))
        return CRN_ERR_NO_MEMORY;
    mark->slot_count = mark->record_count + snap->outside_count;
    mark->bit_words = mark->slot_count / 64 + 1;
    mark->colours = crn_arena_alloc(&mark->arena, mark->bit_words * 64);
    mark->fresh = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *mark->fresh);
    mark->coro_reached = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->coro_held = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    mark->frame_fates = crn_arena_alloc(&mark->arena, snap->frame_count + 1);
    if (mark->earlier != NULL)
        mark->bereft = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *mark->bereft);
    if (!rows_make(mark))
        return CRN_ERR_NO_MEMORY;
    size_t wide_max = (mark->pages << CRN_PAGE_SHIFT) / CRN_WIDE_FROM_BYTES + 1;
    if (mark->arena.exhausted ||
        !crn_span_init_passing(&mark->spans[CRN_SPAN_WIDE], wide_max * sizeof(struct crn_target)))
        return CRN_ERR_NO_MEMORY;
    blocks_enter(mark);
    if (mark->arena.exhausted)
        return CRN_ERR_NO_MEMORY;
    for (size_t i = 0; i < snap->outside_count; i++)
        block_enter(mark, (crn_slot)(mark->record_count + i), snap->outside[i].start,
                    &snap->outside[i].record);
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
    const struct crn_target *wide = crn_wide_blocks(mark), *wide_end = wide + mark->wide_count;
    for (size_t page = 0; page < mark->pages; page++) {
        size_t group_last = page | (((size_t)1 << CRN_ROWS_SHIFT) - 1);
        if (mark->row_masks[page >> CRN_ROWS_SHIFT] == 0 &&
            (wide == wide_end || (wide->start - base) >> CRN_PAGE_SHIFT > group_last)) {
            page = group_last; /* no rows there, and no wide blocks */
            continue;
        }
        uint64_t row = crn_row_get(mark, page);
        if (CRN_UNLIKELY(wide < wide_end && (wide->start - base) >> CRN_PAGE_SHIFT == page)) {
            if (crn_bit_get(bits, wide->slot))
                visit(*wide, user);
            wide++;
            continue;
        }
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

void crn_mark_free(struct crn_mark *mark)
{
    crn_arena_free_all(&mark->arena);
    for (unsigned i = 0; i < CRN_COUNT_OF(mark->spans); i++)
        crn_span_fini(&mark->spans[i]);
    memset(mark, 0, sizeof *mark);
}
