#ifndef CRN_SYM_SCOPES_H
#define CRN_SYM_SCOPES_H
/*
 * Spans of addresses and who owns them: units, functions, what was inlined.
 *
 * A list of spans answers one of two questions after it was sorted: whose span starts last at or
 * before an address (units and functions, which do not nest), or, once it was cut into segments,
 * whose is the innermost (scopes, which do):
 *
 *     spans       [----------- 0 -----------)  [-- 3 --)
 *                    [--- 1 ---)
 *                       [ 2 )
 *     segments    | 0|  1| 2 |1|     0       | |   3   |
 */
#include <elfutils/libdw.h>

#include "base/base.h"

struct crn_span {
    Dwarf_Addr start, end;
    uint32_t row; /* of the owner */
};

struct crn_spans {
    struct crn_span *rows;
    size_t count, room;
};

/* Adds the ranges of `die` as spans of `row`; answers how many it has. */
unsigned crn_spans_add(struct crn_spans *spans, Dwarf_Die *die, size_t row);
void crn_spans_free(struct crn_spans *spans);

/* Sorts by start; of spans that start together those of smaller rows come first. */
void crn_spans_sort(struct crn_spans *spans);

/* The last span that starts at or before `address`, if it covers it; NULL: none does. */
const struct crn_span *crn_spans_find(const struct crn_spans *spans, Dwarf_Addr address);

/*
 * Makes of sorted spans that nest, outer ones with smaller rows, the segments of who is innermost:
 * spans that neither nest nor overlap.
 */
void crn_spans_cut(struct crn_spans *spans);

#endif
