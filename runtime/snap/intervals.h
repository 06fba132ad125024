#ifndef CRN_INTERVALS_H
#define CRN_INTERVALS_H
/*
 * Ranges of addresses that may overlap, in a table that is searched by halves: stacks of thousands
 * of threads, asked for by thousands of coroutines.
 */
#include "base/base.h"

struct crn_interval {
    uintptr_t start, end; /* [start, end) */
    uintptr_t most_end;   /* of this row and all before it: how far any of them reaches */
    uint32_t value;
};

struct crn_intervals {
    struct crn_interval *rows; /* the caller's memory; filled by the caller, but for most_end */
    size_t count;
};

/* Sorts the rows, so that they can be searched. */
void crn_intervals_seal(struct crn_intervals *intervals);

/* Whether any row has an address of [start, end). */
bool crn_intervals_overlap(const struct crn_intervals *intervals, uintptr_t start, uintptr_t end);

/* The row that holds an address, of several the one that starts last; NULL: there is none. */
const struct crn_interval *crn_intervals_find(const struct crn_intervals *intervals,
                                              uintptr_t address);

#endif
