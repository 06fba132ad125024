/*
 * Which block a word points into.  See target.h.
 */
#include "mark/target.h"

CRN_INLINE bool target_in_row(const struct crn_mark *mark, size_t page, unsigned in_page,
                              struct crn_target *target)
{
    uint64_t row = crn_row_get(mark, page);
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
    uint64_t row = crn_row_get(mark, page);
    if (!crn_row_has_blocks(row))
        return crn_page_first(row);
    if (page == 0)
        return 0;
    uint64_t before = crn_row_get(mark, page - 1);
    return crn_row_has_blocks(before) ? page : crn_page_first(before);
}

static bool target_wide(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    const struct crn_target *wide = crn_wide_blocks(mark);
    size_t low = 0, high = mark->wide_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (wide[middle].start <= word)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || word - wide[low - 1].start >= wide[low - 1].bytes)
        return false;
    *target = wide[low - 1];
    return true;
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

bool crn_target_cover(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    uintptr_t offset = word - mark->snap->heap->index.base;
    size_t page = offset >> CRN_PAGE_SHIFT;
    if (CRN_UNLIKELY(page >= mark->pages))
        return mark->snap->outside_count != 0 && target_outside(mark, word, target);
    if (CRN_LIKELY_TRUE(target_in_row(mark, page, offset & (CRN_PAGE_BYTES - 1), target)))
        return true;
    /* The block that covers the start of this page began in an earlier one, as its last. */
    size_t cover = cover_of(mark, page);
    if (cover != 0 && target_in_row(mark, cover - 1, CRN_PAGE_BYTES - 1, target) &&
        word - target->start < target->bytes)
        return true;
    return CRN_UNLIKELY(mark->wide_count != 0) && target_wide(mark, word, target);
}

/* `new T[0]`, where T has a destructor: eight bytes that count the elements, and none behind. */
static bool is_empty_array(uintptr_t start, size_t size)
{
    uint64_t count;
    if (size != sizeof count)
        return false;
    __builtin_memcpy(&count, (const void *)start, sizeof count);
    return count == 0;
}

bool crn_slot_reaches(const struct crn_mark *mark, crn_slot slot, uintptr_t start, uintptr_t word)
{
    size_t size = crn_slot_size(mark, slot);
    return word - start < size || word == start || crn_asked_has(&mark->snap->heap->asked, start) ||
           (word - start == size && is_empty_array(start, size));
}

bool crn_target_find(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    return crn_target_cover(mark, word, target) &&
           crn_slot_reaches(mark, target->slot, target->start, word);
}

struct crn_record *crn_slot_record(const struct crn_mark *mark, crn_slot slot)
{
    const uint32_t *record_of = mark->record_of;
    return slot < mark->record_count
               ? &mark->snap->heap->index.records[record_of != NULL ? record_of[slot] : slot]
               : &mark->snap->outside[slot - mark->record_count].record;
}

size_t crn_slot_size(const struct crn_mark *mark, crn_slot slot)
{
    return slot < mark->record_count ? crn_record_size(crn_slot_record(mark, slot))
                                     : mark->snap->outside[slot - mark->record_count].size;
}
