/*
 * Reads ranges of memory word by word, around what must not be read.  See flood.h.
 */
#include "mark/flood.h"
#include "snap/readable.h"
#include "base/pages.h"

/* The first row that ends above `address`. */
static size_t opaque_above(const struct crn_snap *snap, uintptr_t address)
{
    size_t low = 0, high = snap->opaque_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->opaques[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uint32_t crn_word_coro(const struct crn_mark *mark, uintptr_t word)
{
    const struct crn_snap *snap = mark->snap;
    size_t at = opaque_above(snap, word);
    if (at < snap->opaque_count && snap->opaques[at].start <= word)
        return snap->opaques[at].is_context && !snap->opaques[at].is_handle
                   ? 0
                   : snap->opaques[at].coro + 1;
    /*
     * One past the end of a stack is a handle where its block goes on, with what the switch keeps
     * above the frames.  Where a stack ends its mapping or block, something else begins there.
     */
    struct crn_target target;
    if (at > 0 && snap->opaques[at - 1].end == word && !snap->opaques[at - 1].is_context &&
        snap->coros[snap->opaques[at - 1].coro].mechanism != CRN_MECHANISM_UCONTEXT &&
        crn_target_cover(mark, word, &target) && target.start <= snap->opaques[at - 1].start)
        return snap->opaques[at - 1].coro + 1;
    return 0;
}

bool crn_word_is_link(const struct crn_mark *mark, uintptr_t word)
{
    const struct crn_snap *snap = mark->snap;
    size_t low = 0, high = snap->link_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->links[middle] < word)
            low = middle + 1;
        else
            high = middle;
    }
    return low < snap->link_count && snap->links[low] == word;
}

uint32_t crn_block_coro(const struct crn_mark *mark, uintptr_t start, size_t bytes)
{
    const struct crn_snap *snap = mark->snap;
    for (size_t at = opaque_above(snap, start);
         at < snap->opaque_count && snap->opaques[at].start < start + bytes; at++)
        if (!snap->opaques[at].is_context || snap->opaques[at].is_handle)
            return snap->opaques[at].coro + 1;
    return 0;
}

void crn_scan_words(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    start = crn_align_up(start, scan->step);
    for (uintptr_t at = start; at + sizeof(uintptr_t) <= end; at += scan->step) {
        uintptr_t word;
        __builtin_memcpy(&word, (const void *)at, sizeof word);
        word &= CRN_ADDRESS_MASK;
        if (word >= CRN_PAGE_BYTES)
            scan->visit(scan, word, at + scan->shift);
    }
}

static void words_visit(uintptr_t start, uintptr_t end, uintptr_t address, void *user)
{
    struct crn_scan *scan = user;
    scan->shift = address - start;
    if (scan->run != NULL && (scan->own_stack == 0 || scan->runs_bodies))
        scan->run(scan, start, end);
    else
        crn_scan_words(scan, start, end);
}

static void sparse_read(struct crn_scan *scan, uintptr_t start, uintptr_t end, bool is_sparse,
                        bool is_copy_only)
{
    crn_contents_read(scan->mark->snap,
                      &(struct crn_reading){.range = {start, end},
                                            .is_sparse = is_sparse,
                                            .is_copy_only = is_copy_only,
                                            .parts = CRN_PARTS_ALL & ~scan->leaves_out,
                                            .visit = words_visit,
                                            .user = scan});
}

static void range_read(struct crn_scan *scan, uintptr_t start, uintptr_t end, bool is_sparse,
                       bool is_copy_only)
{
    const struct crn_snap *snap = scan->mark->snap;
    for (size_t at = opaque_above(snap, start);
         at < snap->opaque_count && snap->opaques[at].start < end; at++) {
        const struct crn_opaque *opaque = &snap->opaques[at];
        if (!opaque->is_context && opaque->coro + 1 == scan->own_stack)
            continue;
        if (opaque->start > start)
            sparse_read(scan, start, opaque->start, is_sparse, is_copy_only);
        if (opaque->is_handle && scan->reach != NULL)
            scan->reach(scan, opaque->coro, opaque->start);
        start = opaque->end > start ? opaque->end : start;
    }
    if (start < end)
        sparse_read(scan, start, end, is_sparse, is_copy_only);
}

void crn_scan_range(struct crn_scan *scan, uintptr_t start, uintptr_t end, bool is_sparse)
{
    range_read(scan, start, end, is_sparse, false);
}

static uint8_t step_get(const struct crn_scan *scan, uint8_t step)
{
    return scan->mark->snap->is_unaligned ? 1 : step;
}

void crn_scan_root(struct crn_scan *scan, const struct crn_root *root)
{
    scan->step = root->step;
    scan->own_stack = 0;
    bool is_sparse = root->must_be_sparse || (scan->mark->snap->is_narrow && !root->is_written);
    range_read(scan, root->start, root->end, is_sparse, root->is_copy_only);
}

void crn_scan_block(struct crn_scan *scan, uintptr_t start, size_t bytes)
{
    scan->step = step_get(scan, 8);
    scan->own_stack = 0;
    range_read(scan, start, start + bytes, bytes >= CRN_SPARSE_FROM_BYTES, false);
}

/*
 * Whether a body is a small part of a live block: all of that is there, and to ask the kernel about
 * each of a million frames would take longer than reading them.
 */
static bool is_small_in_block(const struct crn_mark *mark, uintptr_t start, uintptr_t end)
{
    enum { SMALL_BYTES = 16 * 1024 };
    struct crn_target target;
    return end - start <= SMALL_BYTES && crn_target_cover(mark, start, &target) &&
           end - target.start <= target.bytes;
}

void crn_scan_body(struct crn_scan *scan, uint32_t index)
{
    const struct crn_snap *snap = scan->mark->snap;
    const struct crn_snap_coro *coro = &snap->coros[index];
    for (uint32_t i = 0; i < coro->word_count; i++) {
        const uintptr_t *word = &snap->words[coro->first_word + i];
        scan->visit(scan, *word & CRN_ADDRESS_MASK, (uintptr_t)word);
    }
    scan->step = step_get(scan, 4);
    scan->own_stack = index + 1;
    uintptr_t start = crn_align_down(coro->body_start, 4);
    range_read(scan, start, coro->body_end,
               !is_small_in_block(scan->mark, start, coro->body_end), false);
    scan->own_stack = 0;
}

static void first_run_note(uintptr_t start, uintptr_t end, void *user)
{
    uintptr_t *run_end = user; /* where the zone starts, until its first pages are known */
    if (start <= *run_end)
        *run_end = end;
}

/*
 * The owner's data lies at the low end, popped frames at the high end, and mostly there are pages
 * between that were never touched.  Where there are none, the zone's end tells (snap/residue.c).
 */
void crn_scan_zone(struct crn_scan *scan, uint32_t index)
{
    const struct crn_snap_coro *coro = &scan->mark->snap->coros[index];
    uintptr_t end = coro->zone_start;
    if (coro->zone_start == 0)
        return;
    crn_pages_for_each(coro->zone_start, coro->zone_end, false, first_run_note, &end);
    scan->step = step_get(scan, 8);
    scan->own_stack = index + 1;
    range_read(scan, coro->zone_start, end < coro->zone_end ? end : coro->zone_end, false, false);
    scan->own_stack = 0;
}

void crn_scan_reached(struct crn_scan *scan, uint32_t index)
{
    if (!scan->mark->snap->coros[index].never_goes_on)
        crn_scan_body(scan, index);
    crn_scan_zone(scan, index);
}

bool crn_worklist_init(struct crn_worklist *list, size_t rows_max)
{
    enum { ROWS_AT_LEAST = 1 << 16 };
    list->count = 0;
    for (; rows_max > ROWS_AT_LEAST; rows_max /= 2)
        if (crn_span_init_passing(&list->span, rows_max * sizeof(uintptr_t)))
            return true; /* less than wanted where address space is short: pushing may fail */
    return crn_span_init_passing(&list->span, ROWS_AT_LEAST * sizeof(uintptr_t));
}

bool crn_worklist_push_slow(struct crn_worklist *list, uintptr_t value)
{
    if (!crn_span_ensure(&list->span, (list->count + 1) * sizeof value))
        return false;
    ((uintptr_t *)list->span.base)[list->count++] = value;
    return true;
}

void crn_worklist_free(struct crn_worklist *list)
{
    crn_span_fini(&list->span);
}
