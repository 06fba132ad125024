#ifndef CRN_SORT_H
#define CRN_SORT_H
/*
 * Sorting without memory and without surprise: heapsort, O(n log n) at worst.
 */
#include "base/base.h"

enum { CRN_SORT_ROW_BYTES_MAX = 128 };

/* Sorts `count` rows of `row_bytes` (at most CRN_SORT_ROW_BYTES_MAX) ascending by `less`. */
void crn_sort(void *rows, size_t count, size_t row_bytes,
              bool (*less)(const void *a, const void *b));

#endif
