/*
 * Coroutine frames of C++20, by one sweep over all live blocks.
 *
 * A frame is its heap block: nothing registers it, nothing tells when it is resumed.  One that
 * runs right now looks suspended where it last was; the stack that runs it points to it, so it is
 * live like any other block.  A frame that announced itself (probes.c) is not one of these.
 */
#include "snap/build.h"
#include "base/pages.h"
#include "base/sort.h"
#include "snap/narrow.h"
#include "coro/cxx20.h"

/* Which pages of [start, start + WINDOW_BYTES) have contents. */
enum { WINDOW_PAGES = 512, WINDOW_BYTES = WINDOW_PAGES * CRN_PAGE_BYTES };
struct window {
    uintptr_t start; /* 1: none was looked at yet */
    uint64_t bits[WINDOW_PAGES / 64];
};

struct sweep {
    struct crn_snap *snap;
    const struct crn_snap_builder *builder;
    struct crn_cxx20 cxx20;
    size_t unreadable_at; /* the first row that may matter for the blocks to come */
    bool is_ascending;
    struct window window;
};

static void window_note(uintptr_t start, uintptr_t end, unsigned flags, void *user)
{
    struct window *window = user;
    (void)flags;
    for (uintptr_t at = start; at < end; at += CRN_PAGE_BYTES) {
        size_t page = (at - window->start) >> CRN_PAGE_SHIFT;
        window->bits[page / 64] |= (uint64_t)1 << page % 64;
    }
}

/*
 * Whether anybody ever wrote to the head of a block.  Of a large one that need not be: a stack is
 * used from its other end, and to touch the head of each of ten thousand takes as many faults.
 */
static bool has_head(struct window *window, uintptr_t start, size_t bytes)
{
    enum { LARGE_BYTES = 16 * 1024 };
    if (bytes < LARGE_BYTES)
        return true;
    if (window->start != crn_align_down(start, WINDOW_BYTES)) {
        *window = (struct window){.start = crn_align_down(start, WINDOW_BYTES)};
        crn_pages_runs(window->start, window->start + WINDOW_BYTES, window_note, window);
    }
    size_t page = (start - window->start) >> CRN_PAGE_SHIFT;
    return (window->bits[page / 64] >> page % 64 & 1) != 0;
}

/* Heads of blocks that may not be read: a guard page in a stack from malloc. */
static bool is_readable(struct sweep *sweep, uintptr_t start, size_t bytes)
{
    enum { HEAD_BYTES = 64 };
    const struct crn_snap *snap = sweep->snap;
    while (sweep->unreadable_at < snap->unreadable_count &&
           snap->unreadable[sweep->unreadable_at].end <= start)
        sweep->unreadable_at++;
    return sweep->unreadable_at == snap->unreadable_count ||
           snap->unreadable[sweep->unreadable_at].start >=
               start + (bytes < HEAD_BYTES ? bytes : HEAD_BYTES);
}

/* Whether a coroutine that announced itself lies in the block: it is known by that. */
static bool is_announced(const struct sweep *sweep, uintptr_t start, size_t bytes)
{
    const struct crn_snap_builder *builder = sweep->builder;
    size_t low = 0, high = builder->announced_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (builder->announced[middle].start < start)
            low = middle + 1;
        else
            high = middle;
    }
    return low < builder->announced_count && builder->announced[low].start - start < bytes;
}

static void block_look(struct sweep *sweep, uintptr_t start, size_t bytes)
{
    struct crn_snap *snap = sweep->snap;
    struct crn_cxx20_frame found;
    if (!is_readable(sweep, start, bytes) || !has_head(&sweep->window, start, bytes) ||
        !crn_cxx20_find(&sweep->cxx20, (const void *)start, bytes, &found) ||
        is_announced(sweep, start, bytes) ||
        !crn_span_ensure(&snap->frames_span, (snap->frame_count + 1) * sizeof *snap->frames))
        return;
    snap->frames = (struct crn_snap_frame *)snap->frames_span.base;
    if (snap->frame_count > 0 && snap->frames[snap->frame_count - 1].start > start)
        sweep->is_ascending = false;
    snap->frames[snap->frame_count++] = (struct crn_snap_frame){
        .start = start,
        .kind = found.kind,
        .suspension = found.suspension,
        .offset = found.offset,
        .is_final = found.is_final,
        .is_sure = true,
    };
}

static bool block_visit(const struct crn_block *block, void *user)
{
    block_look(user, block->start, block->usable);
    return true;
}

static bool frame_less(const void *a, const void *b)
{
    return ((const struct crn_snap_frame *)a)->start < ((const struct crn_snap_frame *)b)->start;
}

/* Frames alike stopped in the same function: a stack of one call frame. */
static uint32_t frame_node_get(const struct crn_snap *snap, const struct crn_snap_frame *frame)
{
    const struct crn_cxx20_kind *kind = &snap->frame_kinds[frame->kind];
    uintptr_t place = kind->stopped_at != 0 ? kind->stopped_at : kind->resume;
    /* A node holds a return address, and is named by the byte before it. */
    return crn_tree_intern(&crn_tree, 0, place + 1);
}

static bool span_reserve(struct crn_span *span, size_t rows)
{
    enum { ROWS_AT_LEAST = 1 << 12 };
    for (; rows > ROWS_AT_LEAST; rows /= 2)
        if (crn_span_init_passing(span, rows * sizeof(struct crn_snap_frame)))
            return true;
    return crn_span_init_passing(span, ROWS_AT_LEAST * sizeof(struct crn_snap_frame));
}

void crn_build_frames(struct crn_snap_builder *builder)
{
    struct crn_snap *snap = builder->snap;
    struct sweep sweep = {
        .snap = snap, .builder = builder, .is_ascending = true, .window = {.start = 1}};
    size_t blocks_most = snap->heap->index.records_made + snap->outside_count;
    if (!crn_cxx20_init(&sweep.cxx20, &snap->arena, &snap->code, blocks_most) ||
        !span_reserve(&snap->frames_span, blocks_most))
        return;
    snap->frame_node_get = frame_node_get;
    crn_snap_blocks_each(snap, block_visit, &sweep);
    sweep.unreadable_at = 0;
    for (size_t i = 0; i < snap->outside_count; i++)
        block_look(&sweep, snap->outside[i].start, snap->outside[i].usable);
    if (!sweep.is_ascending)
        crn_sort(snap->frames, snap->frame_count, sizeof *snap->frames, frame_less);
    snap->frame_kinds = sweep.cxx20.kinds;
    snap->frame_kind_count = sweep.cxx20.kind_count;
}
