/*
 * Words in, blocks out, both a little ahead.  See ahead.h.
 */
#include "mark/ahead.h"

enum { SETTLE_FROM = 32, LINE_BYTES = 64, LINES_MAX = 5 };

bool crn_flood_init(struct crn_flood *flood, struct crn_mark *mark, uint64_t *fresh,
                    void (*settle)(struct crn_flood *flood), size_t works_max)
{
    flood->scan.mark = flood->mark = mark;
    flood->scan.run = crn_flood_run;
    flood->fresh = fresh;
    flood->settle = settle;
    flood->region = mark->snap->heap->index.base;
    flood->region_bytes = mark->pages << CRN_PAGE_SHIFT;
    if (mark->snap->outside_count > 0) {
        const struct crn_outside_block *last = &mark->snap->outside[mark->snap->outside_count - 1];
        flood->other = mark->snap->outside[0].start;
        flood->other_bytes = last->start + last->usable - flood->other;
    }
    return crn_worklist_init(&flood->works, works_max);
}

void crn_flood_fini(struct crn_flood *flood)
{
    crn_worklist_free(&flood->works);
}

/* Every word is stored and most are overwritten by the next: a branch would be guessed wrong. */
CRN_INLINE uintptr_t chunk_read(struct crn_flood *flood, uintptr_t at, uintptr_t end, unsigned step)
{
    uintptr_t region = flood->region, region_bytes = flood->region_bytes;
    uintptr_t other = flood->other, other_bytes = flood->other_bytes;
    uintptr_t *words = flood->words;
    unsigned count = flood->word_count;
    for (; at < end; at += step) {
        uintptr_t word;
        __builtin_memcpy(&word, (const void *)at, sizeof word);
        word &= CRN_ADDRESS_MASK;
        words[count] = word;
        count += (word - region < region_bytes) | (word - other < other_bytes);
    }
    flood->word_count = count;
    return at;
}

void crn_flood_run(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    struct crn_flood *flood = (struct crn_flood *)scan;
    unsigned step = scan->step;
    uintptr_t at = crn_align_up(start, step);
    if (end < sizeof(uintptr_t))
        return;
    end -= sizeof(uintptr_t) - 1;
    while (at < end) {
        uintptr_t stop = end - at > CRN_WORDS_CHUNK * step ? at + CRN_WORDS_CHUNK * step : end;
        at = step == 8 ? chunk_read(flood, at, stop, 8) : chunk_read(flood, at, stop, step);
        if (flood->word_count > CRN_WORDS_ROOM - CRN_WORDS_CHUNK)
            flood->settle(flood);
    }
}

/* Where the rows' answers are needed next, so that they are all on their way at once. */
static void bits_ask(struct crn_flood *flood, struct crn_found_works *found)
{
    const struct crn_mark *mark = flood->mark;
    bool is_starved = flood->ahead_count == 0; /* a list: nothing to do until the next is there */
    for (unsigned i = 0; i < flood->word_count; i++) {
        uintptr_t offset = flood->words[i] - flood->region;
        if (is_starved)
            __builtin_prefetch((const void *)flood->words[i]);
        found->works[i] = 0;
        found->slots[i] = 0;
        if (CRN_UNLIKELY(offset >= flood->region_bytes))
            continue;
        uint64_t row = crn_row_get(mark, offset >> CRN_PAGE_SHIFT);
        unsigned in_page = offset & (CRN_PAGE_BYTES - 1), phase = crn_page_phase(row);
        if (CRN_UNLIKELY(!crn_row_has_blocks(row) | (in_page < phase)))
            continue;
        const struct crn_class *class = &crn_classes[crn_page_class(row)];
        uint32_t slot = (uint32_t)((uint64_t)(in_page - phase) * class->reciprocal >> 32);
        found->slots[i] = crn_page_first(row) + slot;
        found->works[i] = crn_work_of(flood->words[i] - (in_page - phase) + slot * class->bytes,
                                      crn_page_class(row));
        __builtin_prefetch(&flood->fresh[found->slots[i] / 64], 1);
        if (flood->words[i] != crn_work_start(found->works[i]))
            __builtin_prefetch(&mark->snap->heap->index.records[found->slots[i]]);
        if (CRN_UNLIKELY(mark->has_closed))
            __builtin_prefetch(&mark->colours[found->slots[i]]);
    }
}

void crn_flood_look_up(struct crn_flood *flood, struct crn_found_works *found)
{
    const struct crn_mark *mark = flood->mark;
    unsigned count = 0, doubt_count = 0;
    bool has_closed = mark->has_closed;
    bits_ask(flood, found);
    for (unsigned i = 0; i < flood->word_count; i++) {
        crn_slot slot = found->slots[i];
        crn_work work = found->works[i];
        uint64_t *bits = &flood->fresh[slot / 64], old = *bits;
        unsigned is_plain = !CRN_UNLIKELY(has_closed) || crn_colour_is_plain(mark->colours[slot]);
        unsigned is_fresh = (old >> slot % 64) & is_plain;
        if (CRN_UNLIKELY(is_fresh & (flood->words[i] != crn_work_start(work)))) /* one branch */
            is_fresh = crn_slot_reaches(mark, slot, crn_work_start(work), flood->words[i]);
        *bits = old & ~((uint64_t)is_fresh << slot % 64);
        found->slots[count] = slot;
        found->works[count] = work;
        count += is_fresh;
        found->doubts[doubt_count] = flood->words[i];
        doubt_count += work == 0 || !is_plain;
    }
    found->count = count;
    found->doubt_count = doubt_count;
    flood->word_count = 0;
}

static void work_scan(struct crn_flood *flood, crn_work work)
{
    struct crn_target target;
    uintptr_t start = crn_work_start(work);
    size_t bytes = crn_work_bytes(work);
    if (bytes != 0 && bytes < CRN_SPARSE_FROM_BYTES && flood->scan.run != NULL &&
        !flood->mark->snap->is_unaligned) {
        flood->scan.step = 8;
        flood->scan.own_stack = 0;
        flood->scan.run(&flood->scan, start, start + bytes);
    } else if (crn_target_find(flood->mark, start, &target)) {
        crn_scan_block(&flood->scan, target.start, target.bytes);
    }
}

static void works_ask(struct crn_flood *flood)
{
    while (flood->ahead_count < CRN_WORKS_AHEAD && flood->works.count > 0) {
        crn_work work = crn_worklist_pop(&flood->works);
        const char *start = (const char *)crn_work_start(work);
        size_t bytes = crn_work_bytes(work);
        __builtin_prefetch(start);
        for (unsigned line = 1; line < LINES_MAX && line * LINE_BYTES < bytes; line++)
            __builtin_prefetch(start + line * LINE_BYTES);
        flood->ahead[(flood->ahead_first + flood->ahead_count++) % CRN_WORKS_AHEAD] = work;
    }
}

void crn_flood_drain(struct crn_flood *flood)
{
    for (;;) {
        works_ask(flood);
        if (flood->word_count >= SETTLE_FROM || flood->ahead_count < CRN_WORKS_AHEAD / 2) {
            if (flood->word_count > 0)
                flood->settle(flood);
            else if (flood->ahead_count == 0)
                return;
            works_ask(flood);
        }
        if (flood->ahead_count == 0)
            continue;
        crn_work work = flood->ahead[flood->ahead_first];
        flood->ahead_first = (flood->ahead_first + 1) % CRN_WORKS_AHEAD;
        flood->ahead_count--;
        work_scan(flood, work);
    }
}
