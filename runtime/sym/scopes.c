/*
 * Spans of addresses and who owns them.  See scopes.h.
 */
#include "sym/scopes.h"

#include <stdlib.h>

#include "sym/store.h"

enum { SPANS_MAX = 1 << 22 }; /* of one list; more are damage, or would be too much */

unsigned crn_spans_add(struct crn_spans *spans, Dwarf_Die *die, size_t row)
{
    Dwarf_Addr base, start, end;
    unsigned added = 0;
    ptrdiff_t at = 0;
    while (spans->count < SPANS_MAX && (at = dwarf_ranges(die, at, &base, &start, &end)) > 0) {
        if (start >= end)
            continue;
        spans->rows = crn_grow(spans->rows, spans->count, &spans->room, sizeof *spans->rows);
        spans->rows[spans->count++] = (struct crn_span){start, end, (uint32_t)row};
        added++;
    }
    return added;
}

void crn_spans_free(struct crn_spans *spans)
{
    free(spans->rows);
    *spans = (struct crn_spans){0};
}

static int span_compare(const void *a, const void *b)
{
    const struct crn_span *left = a, *right = b;
    if (left->start != right->start)
        return left->start < right->start ? -1 : 1;
    return (left->row > right->row) - (left->row < right->row);
}

void crn_spans_sort(struct crn_spans *spans)
{
    if (spans->count > 1)
        qsort(spans->rows, spans->count, sizeof *spans->rows, span_compare);
}

const struct crn_span *crn_spans_find(const struct crn_spans *spans, Dwarf_Addr address)
{
    size_t low = 0, high = spans->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (spans->rows[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0 || address >= spans->rows[low - 1].end)
        return NULL;
    return &spans->rows[low - 1];
}

/* The spans that are open while addresses are swept, the innermost last. */
struct sweep {
    struct crn_span *open;
    size_t open_count, open_room;
    struct crn_spans segments;
    Dwarf_Addr at; /* up to where segments are made */
};

/* Ends the present segment at `end`: it is the innermost open span's. */
static void segment_end(struct sweep *sweep, Dwarf_Addr end)
{
    struct crn_spans *segments = &sweep->segments;
    if (sweep->open_count > 0 && end > sweep->at) {
        uint32_t row = sweep->open[sweep->open_count - 1].row;
        segments->rows =
            crn_grow(segments->rows, segments->count, &segments->room, sizeof *segments->rows);
        segments->rows[segments->count++] = (struct crn_span){sweep->at, end, row};
    }
    if (end > sweep->at)
        sweep->at = end;
}

/* Closes the spans that end at or before `address`. */
static void spans_close(struct sweep *sweep, Dwarf_Addr address)
{
    while (sweep->open_count > 0 && sweep->open[sweep->open_count - 1].end <= address) {
        segment_end(sweep, sweep->open[sweep->open_count - 1].end);
        sweep->open_count--;
    }
}

void crn_spans_cut(struct crn_spans *spans)
{
    struct sweep sweep = {0};
    for (size_t i = 0; i < spans->count; i++) {
        struct crn_span span = spans->rows[i];
        spans_close(&sweep, span.start);
        segment_end(&sweep, span.start);
        /* What sticks out of the span that it begins in is damage, and cut off. */
        if (sweep.open_count > 0 && span.end > sweep.open[sweep.open_count - 1].end)
            span.end = sweep.open[sweep.open_count - 1].end;
        sweep.open =
            crn_grow(sweep.open, sweep.open_count, &sweep.open_room, sizeof *sweep.open);
        sweep.open[sweep.open_count++] = span;
    }
    spans_close(&sweep, UINT64_MAX);
    free(sweep.open);
    free(spans->rows);
    *spans = sweep.segments;
}
