/*
 * Pointers at odd offsets.  See slices.h.
 *
 * All that is live is read once more, in order: that takes a fraction of the flood, which went from
 * block to block.  Sixteen offsets are looked at together.  The top two bytes of an address are
 * zero and the third is one of few, which no more than one offset in millions happens to show.
 */
#include "mark/slices.h"

enum { LANES = sizeof(crn_lanes), ALL = 0xff, HIGH_BYTE = 5, NEIGHBOURHOOD_BYTES = 16 * 1024 };

/* Into the middle of a block of this size, so many odd words seem to point that none says anything.
 */
static const size_t GIANT_BYTES = (size_t)1 << 30;

CRN_INLINE crn_lanes lanes_load(uintptr_t at)
{
    crn_lanes bytes;
    __builtin_memcpy(&bytes, (const void *)at, sizeof bytes);
    return bytes;
}

CRN_INLINE bool any_lane(crn_lanes mask)
{
    uint64_t halves[2];
    __builtin_memcpy(halves, &mask, sizeof halves);
    return (halves[0] | halves[1]) != 0;
}

/* Whether a block is still to be judged: what a pointer to it would change. */
static bool is_asked(const struct crn_mark *mark, crn_slot slot)
{
    return crn_is_white(mark, slot) && (mark->colours[slot] & CRN_COLOUR_FOREIGN) == 0 &&
           (!crn_colour_is_plain(mark->colours[slot]) || crn_bit_get(mark->fresh, slot));
}

static bool coro_is_asked(const struct crn_mark *mark, uint32_t coro)
{
    return !mark->coro_reached[coro] && !crn_snap_coro_is_over(&mark->snap->coros[coro]);
}

/* Addresses of [start, end) are looked for. */
static void wanted_add(struct crn_odd_look *look, uintptr_t start, uintptr_t end)
{
    for (uintptr_t high = start >> 40; high <= (end - 1) >> 40; high++) {
        unsigned i = 0;
        while (i < look->high_count && look->high[i][0] != (uint8_t)high)
            i++;
        if (i == look->high_count && i < CRN_ODD_BYTES_MAX)
            look->high_count++;
        if (i < CRN_ODD_BYTES_MAX)
            look->high[i] = (crn_lanes){0} + (uint8_t)high;
        else
            look->any = (crn_lanes){0} + (uint8_t)ALL;
    }
}

static void wanted_collect(struct crn_odd_look *look)
{
    const struct crn_mark *mark = look->mark;
    const struct crn_snap *snap = mark->snap;
    bool is_any_inside = false;
    for (size_t slot = 0; slot < mark->record_count && !is_any_inside; slot++)
        is_any_inside = mark->colours[slot] != CRN_COLOUR_NONE && is_asked(mark, (crn_slot)slot);
    if (is_any_inside)
        wanted_add(look, snap->heap->index.base, snap->heap_end);
    for (size_t i = 0; i < snap->outside_count; i++)
        if (is_asked(mark, (crn_slot)(mark->record_count + i)))
            wanted_add(look, snap->outside[i].start,
                       snap->outside[i].start + snap->outside[i].usable);
    for (size_t i = 0; i < snap->opaque_count; i++) {
        const struct crn_opaque *opaque = &snap->opaques[i];
        if ((!opaque->is_context || opaque->is_handle) && coro_is_asked(mark, opaque->coro))
            wanted_add(look, opaque->start, opaque->end + 1);
    }
}

/* Whether a word lies on the stack of a thread or coroutine. */
static bool is_on_stack(const struct crn_snap *snap, uintptr_t word)
{
    size_t low = 0, high = snap->opaque_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->opaques[middle].end <= word)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < snap->opaque_count && snap->opaques[low].start <= word)
        return !snap->opaques[low].is_context;
    for (size_t i = 0; i < snap->root_count; i++)
        if (snap->roots[i].kind == CRN_ROOT_STACK &&
            word - snap->roots[i].start < snap->roots[i].end - snap->roots[i].start)
            return true;
    return false;
}

static bool is_of_stack(const struct crn_snap *snap, uintptr_t at)
{
    uintptr_t word;
    __builtin_memcpy(&word, (const void *)at, sizeof word);
    return word >= CRN_PAGE_BYTES && word <= CRN_ADDRESS_MASK &&
           (crn_code_holds(&snap->code, word, 1) || is_on_stack(snap, word));
}

/* Whether the memory around `at`, inside [start, end), is that of a stack. */
static bool is_in_slice(struct crn_odd_look *look, uintptr_t at, uintptr_t start, uintptr_t end)
{
    struct crn_range *barren = &look->barren[at % CRN_ODD_STEP];
    uintptr_t first = at - start > NEIGHBOURHOOD_BYTES ? at - NEIGHBOURHOOD_BYTES : start;
    uintptr_t last = end - at > NEIGHBOURHOOD_BYTES ? at + NEIGHBOURHOOD_BYTES : end;
    first += (at - first) % CRN_ODD_STEP;
    if (look->neighbours[at % CRN_ODD_STEP] - first < last - first)
        return true;
    if (first < barren->start || first > barren->end)
        barren->start = barren->end = first;
    for (; barren->end + sizeof(uintptr_t) <= last; barren->end += CRN_ODD_STEP) {
        if (is_of_stack(look->mark->snap, barren->end)) {
            look->neighbours[at % CRN_ODD_STEP] = barren->end;
            return true;
        }
    }
    return false;
}

/* A word at an odd offset that may be an address. */
static void odd_visit(struct crn_odd_look *look, uintptr_t at, uintptr_t start, uintptr_t end)
{
    struct crn_mark *mark = look->mark;
    struct crn_target target;
    uintptr_t word;
    __builtin_memcpy(&word, (const void *)at, sizeof word);
    bool is_block = crn_target_find(mark, word, &target) && is_asked(mark, target.slot);
    if (is_block && target.bytes >= GIANT_BYTES && word != target.start)
        is_block = false;
    uint32_t coro = crn_word_coro(mark, word);
    bool is_coro = coro != 0 && coro_is_asked(mark, coro - 1);
    if (!is_block && !is_coro)
        return;
    if (is_in_slice(look, at, start, end)) {
        look->hold(look, word);
        return;
    }
    if (is_block)
        crn_bit_set(mark->doubted, target.slot);
    if (is_coro)
        mark->coro_doubted[coro - 1] = CRN_DOUBT_ODD;
}

static bool is_wanted(const struct crn_odd_look *look, uintptr_t at)
{
    const uint8_t *bytes = (const uint8_t *)at;
    bool is_high = look->any[0] != 0;
    for (unsigned i = 0; i < CRN_ODD_BYTES_MAX; i++)
        is_high |= bytes[HIGH_BYTE] == look->high[i][0];
    return is_high && bytes[HIGH_BYTE + 1] == 0 && bytes[HIGH_BYTE + 2] == 0;
}

/* The offsets from `start` on that are no multiples of `step`. */
CRN_INLINE crn_lanes odd_lanes(uintptr_t start, unsigned step)
{
    static const uint8_t odd[][LANES + 8] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
        {0, ALL, ALL, ALL, 0, ALL, ALL, ALL, 0, ALL, ALL, ALL,
         0, ALL, ALL, ALL, 0, ALL, ALL, ALL, 0, ALL, ALL, ALL},
        {0,   ALL, ALL, ALL, ALL, ALL, ALL, ALL, 0,   ALL, ALL, ALL,
         ALL, ALL, ALL, ALL, 0,   ALL, ALL, ALL, ALL, ALL, ALL, ALL},
    };
    return lanes_load((uintptr_t)&odd[step / 4][start % 8]);
}

/* Looks at sixteen offsets from `at` on. */
CRN_INLINE void lanes_look(struct crn_odd_look *look, uintptr_t at, uintptr_t start, uintptr_t end,
                           crn_lanes odd)
{
    crn_lanes bytes = lanes_load(at + HIGH_BYTE);
    crn_lanes top = lanes_load(at + HIGH_BYTE + 1) | lanes_load(at + HIGH_BYTE + 2);
    crn_lanes is_high = look->any | (crn_lanes)(bytes == look->high[0]) |
                        (crn_lanes)(bytes == look->high[1]) | (crn_lanes)(bytes == look->high[2]) |
                        (crn_lanes)(bytes == look->high[3]);
    crn_lanes found = is_high & (crn_lanes)(top == 0) & odd;
    if (CRN_LIKELY_TRUE(!any_lane(found)))
        return;
    for (unsigned i = 0; i < LANES; i++)
        if (found[i] != 0)
            odd_visit(look, at + i, start, end);
}

void crn_odd_read(struct crn_odd_look *look, uintptr_t start, uintptr_t end, unsigned step)
{
    enum { REACH = LANES + sizeof(uintptr_t) - 1 };
    uintptr_t at = start;
    if (end - start >= REACH) {
        crn_lanes odd = odd_lanes(start, step);
        for (; at + REACH <= end; at += LANES)
            lanes_look(look, at, start, end, odd);
        at = end - REACH; /* some of it a second time */
        lanes_look(look, at, start, end, odd_lanes(at, step));
        return;
    }
    for (; at + sizeof(uintptr_t) <= end; at++)
        if (at % step != 0 && is_wanted(look, at))
            odd_visit(look, at, start, end);
}

static void odd_run(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    if (scan->shift != 0)
        crn_odd_forget((struct crn_odd_look *)scan);
    crn_odd_read((struct crn_odd_look *)scan, start, end, scan->step);
}

/* Coroutines and registers lie in memory of ours, at whole words. */
static void nothing_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    (void)scan;
    (void)word;
    (void)address;
}

bool crn_odd_begin(struct crn_odd_look *look, struct crn_mark *mark)
{
    const struct crn_snap *snap = mark->snap;
    *look = (struct crn_odd_look){
        .scan = {.mark = mark, .run = odd_run, .runs_bodies = true, .visit = nothing_visit},
        .mark = mark,
    };
    if (snap->is_unaligned || snap->is_aligned_only)
        return false;
    wanted_collect(look);
    if (look->high_count == 0)
        return false;
    for (unsigned i = look->high_count; i < CRN_ODD_BYTES_MAX; i++)
        look->high[i] = look->high[0];
    mark->doubted = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *mark->doubted);
    mark->coro_doubted = crn_arena_alloc(&mark->arena, snap->coro_count + 1);
    return mark->doubted != NULL && mark->coro_doubted != NULL;
}

static void live_visit(struct crn_target target, void *user)
{
    struct crn_odd_look *look = user;
    crn_scan_block(&look->scan, target.start, target.bytes);
}

void crn_odd_search(struct crn_odd_look *look)
{
    struct crn_mark *mark = look->mark;
    const struct crn_snap *snap = mark->snap;
    uint64_t *live = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *live);
    if (live == NULL)
        return;
    for (size_t slot = 0; slot < mark->slot_count; slot++)
        if ((mark->colours[slot] & CRN_COLOUR_MASK) == CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE)
            crn_bit_set(live, (crn_slot)slot);
    mark->unused_bits = live; /* once this function is done */
    for (size_t i = 0; i < snap->root_count; i++)
        crn_scan_root(&look->scan, &snap->roots[i]);
    crn_mark_for_each(mark, live, live_visit, look);
    for (uint32_t i = 0; i < snap->coro_count; i++) {
        if (mark->coro_reached[i])
            crn_scan_reached(&look->scan, i);
    }
}

bool crn_mark_has_doubts(const struct crn_mark *mark)
{
    bool has_any = false;
    for (size_t i = 0; mark->doubted != NULL && i < mark->bit_words; i++)
        has_any |= mark->doubted[i] != 0;
    return has_any;
}
