/*
 * Ranges that may overlap.  See intervals.h.
 */
#include "snap/intervals.h"
#include "base/sort.h"

static bool start_less(const void *a, const void *b)
{
    return ((const struct crn_interval *)a)->start < ((const struct crn_interval *)b)->start;
}

void crn_intervals_seal(struct crn_intervals *intervals)
{
    uintptr_t most_end = 0;
    crn_sort(intervals->rows, intervals->count, sizeof *intervals->rows, start_less);
    for (size_t i = 0; i < intervals->count; i++) {
        most_end = intervals->rows[i].end > most_end ? intervals->rows[i].end : most_end;
        intervals->rows[i].most_end = most_end;
    }
}

/* How many rows start below `address`. */
static size_t rows_below(const struct crn_intervals *intervals, uintptr_t address)
{
    size_t low = 0, high = intervals->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (intervals->rows[middle].start < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool crn_intervals_overlap(const struct crn_intervals *intervals, uintptr_t start, uintptr_t end)
{
    size_t below = rows_below(intervals, end);
    return below > 0 && intervals->rows[below - 1].most_end > start;
}

const struct crn_interval *crn_intervals_find(const struct crn_intervals *intervals,
                                              uintptr_t address)
{
    size_t below = rows_below(intervals, address + 1);
    for (; below > 0 && intervals->rows[below - 1].most_end > address; below--)
        if (intervals->rows[below - 1].end > address)
            return &intervals->rows[below - 1];
    return NULL;
}
