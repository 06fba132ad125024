/*
 * Reads around unreadable memory, and what of it can be copied.  See readable.h.
 */
#include "snap/readable.h"
#include "base/maps.h"
#include "base/pages.h"

#include <string.h>

enum { WINDOW_BYTES = 64 * 1024, FILE_BYTES_MOST = 16 << 20 };

struct crn_window *crn_window_create(struct crn_arena *arena)
{
    struct crn_window *window = crn_arena_alloc(arena, sizeof *window);
    if (window == NULL)
        return NULL;
    memset(window, 0, sizeof *window);
    window->buffer = crn_arena_alloc(arena, WINDOW_BYTES + CRN_PAGE_BYTES);
    window->file_bytes_left = FILE_BYTES_MOST;
    return window->buffer != NULL ? window : NULL;
}

size_t crn_unreadable_above(const struct crn_snap *snap, uintptr_t address)
{
    size_t low = 0, high = snap->unreadable_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->unreadable[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

uintptr_t crn_readable_end(const struct crn_snap *snap, uintptr_t start, uintptr_t end)
{
    size_t at = crn_unreadable_above(snap, start);
    if (at == snap->unreadable_count || snap->unreadable[at].start >= end)
        return end;
    return snap->unreadable[at].start > start ? snap->unreadable[at].start : start;
}

bool crn_has_guard_below(const struct crn_snap *snap, uintptr_t address)
{
    size_t at = crn_unreadable_above(snap, address - 1);
    return at < snap->unreadable_count && snap->unreadable[at].start < address &&
           !snap->unreadable[at].is_accessible;
}

static size_t shared_above(const struct crn_snap *snap, uintptr_t address)
{
    size_t low = 0, high = snap->shared_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (snap->shared[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct walk {
    const struct crn_snap *snap;
    const struct crn_reading *reading;
    const struct crn_shared *shared; /* the row that is read */
    uintptr_t at;                    /* how far */
};

static void unknown_note(const struct walk *walk, const char *who)
{
    if (walk->snap->window->unknown == NULL)
        walk->snap->window->unknown = who;
}

/* Visits a copy of [start, end), a piece at a time. */
static void copied_visit(const struct walk *walk, uintptr_t start, uintptr_t end, bool by_force)
{
    enum { WORD_BYTES = 8 }; /* a word may begin in one piece and end in the next */
    char *buffer = walk->snap->window->buffer;
    while (start < end) {
        size_t wanted = end - start < WINDOW_BYTES ? end - start : WINDOW_BYTES;
        uintptr_t place = (uintptr_t)buffer + (start & (CRN_PAGE_BYTES - 1)); /* aligned alike */
        long count = crn_pages_copy((void *)place, start, wanted, by_force);
        if (count > 0)
            walk->reading->visit(place, place + (size_t)count, start, walk->reading->user);
        if (count < 0 || (by_force && (size_t)count < wanted))
            unknown_note(walk, "a page without access");
        if (count < 0)
            return;
        if ((size_t)count < wanted) /* the page is gone, or never was one */
            start = crn_align_down(start + (size_t)count, CRN_PAGE_BYTES) + CRN_PAGE_BYTES;
        else if (wanted == end - start || wanted <= WORD_BYTES)
            start += wanted;
        else
            start += wanted - WORD_BYTES;
    }
}

static bool swap_visit(const struct crn_map_entry *entry, void *user)
{
    struct crn_window *window = user;
    window->has_swap |= (entry->flags & CRN_MAP_FILE) != 0 && entry->details->swapped_bytes != 0;
    return !window->has_swap;
}

/* Whether shared memory of this process is swapped out; the kernel does not say which pages. */
static bool shared_has_swap(struct crn_window *window)
{
    if (!window->has_looked_for_swap && crn_pages_may_be_swapped() &&
        !crn_maps_for_each_detailed(swap_visit, window))
        window->has_swap = true;
    window->has_looked_for_swap = true;
    return window->has_swap;
}

/* [start, end) of a shared mapping is not in memory. */
static void missing_visit(const struct walk *walk, uintptr_t start, uintptr_t end)
{
    const struct crn_shared *shared = walk->shared;
    struct crn_window *window = walk->snap->window;
    end = end < shared->contents_end ? end : shared->contents_end;
    if (start >= end)
        return;
    if (shared->is_served_missing)
        unknown_note(walk, "a page that userfaultfd serves");
    else if (!shared->is_file && shared_has_swap(window))
        unknown_note(walk, "shared memory that is swapped out");
    else if (shared->is_file && (shared->is_slow || end - start > window->file_bytes_left))
        unknown_note(walk, "a mapped file");
    else if (shared->is_file) {
        window->file_bytes_left -= end - start;
        copied_visit(walk, start, end, false);
    }
}

static void cached_visit(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct walk *walk = user;
    (void)flags;
    missing_visit(walk, walk->at, start);
    walk->at = end;
    if (walk->shared->is_served_minor)
        unknown_note(walk, "a page that userfaultfd serves");
    else
        copied_visit(walk, start, end, false);
}

/* [start, end) of a shared mapping is not in our page table. */
static void gap_visit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    if (start >= end)
        return;
    walk->at = start;
    if (crn_pages_cached(start, end, cached_visit, walk))
        missing_visit(walk, walk->at, end);
    else
        unknown_note(walk, "a shared mapping");
}

struct gaps {
    struct walk *walk;
    uintptr_t at;
};

static void present_visit(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct gaps *gaps = user;
    if ((flags & CRN_PAGES_PRESENT) == 0)
        return;
    gap_visit(gaps->walk, gaps->at, start);
    gaps->at = end;
}

/* What of [start, end) is in shared mappings, and not in our page table. */
static void away_visit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    const struct crn_snap *snap = walk->snap;
    for (size_t i = shared_above(snap, start);
         i < snap->shared_count && snap->shared[i].start < end; i++) {
        const struct crn_shared *shared = &snap->shared[i];
        uintptr_t from = start > shared->start ? start : shared->start;
        uintptr_t to = end < shared->end ? end : shared->end;
        struct gaps gaps = {walk, from};
        walk->shared = shared;
        crn_pages_runs(from, to, present_visit, &gaps);
        gap_visit(walk, gaps.at, to);
    }
}

static void touched_visit(uintptr_t start, uintptr_t end, void *user)
{
    const struct walk *walk = user;
    walk->reading->visit(start, end, start, walk->reading->user);
}

/* [start, end) has no unreadable row in it. */
static void part_visit(struct walk *walk, uintptr_t start, uintptr_t end)
{
    const struct crn_reading *reading = walk->reading;
    if (start >= end)
        return;
    if ((reading->parts & CRN_PARTS_TOUCHED) == 0)
        ;
    else if (reading->is_sparse || reading->is_copy_only)
        crn_pages_for_each(start, end, reading->is_copy_only, touched_visit, walk);
    else
        touched_visit(start, end, walk);
    if ((reading->parts & CRN_PARTS_AWAY) != 0 && walk->snap->window != NULL)
        away_visit(walk, start, end);
}

void crn_contents_read(const struct crn_snap *snap, const struct crn_reading *reading)
{
    struct walk walk = {.snap = snap, .reading = reading};
    uintptr_t start = reading->range.start, end = reading->range.end;
    bool is_copied = (reading->parts & CRN_PARTS_COPIED) != 0 && snap->window != NULL;
    for (size_t i = crn_unreadable_above(snap, start);
         i < snap->unreadable_count && snap->unreadable[i].start < end; i++) {
        const struct crn_unreadable *row = &snap->unreadable[i];
        part_visit(&walk, start, row->start);
        if (row->how != CRN_HOLDS_NOTHING && is_copied)
            copied_visit(&walk, start > row->start ? start : row->start,
                         end < row->end ? end : row->end, row->how == CRN_READ_FORCED);
        start = row->end;
    }
    part_visit(&walk, start, end);
}

struct plain {
    void (*visit)(uintptr_t start, uintptr_t end, void *user);
    void *user;
};

static void plain_visit(uintptr_t start, uintptr_t end, uintptr_t address, void *user)
{
    const struct plain *plain = user;
    (void)address;
    plain->visit(start, end, plain->user);
}

void crn_readable_for_each(const struct crn_snap *snap, struct crn_range range, bool is_sparse,
                           bool is_copy_only,
                           void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user)
{
    struct plain plain = {visit, user};
    crn_contents_read(snap, &(struct crn_reading){.range = range,
                                                  .is_sparse = is_sparse,
                                                  .is_copy_only = is_copy_only,
                                                  .parts = CRN_PARTS_TOUCHED,
                                                  .visit = plain_visit,
                                                  .user = &plain});
}
