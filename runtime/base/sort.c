/*
 * Heapsort.  See sort.h.
 */
#include "base/sort.h"

#include <string.h>

static void rows_swap(char *a, char *b, size_t row_bytes)
{
    char swapped[CRN_SORT_ROW_BYTES_MAX];
    memcpy(swapped, a, row_bytes);
    memcpy(a, b, row_bytes);
    memcpy(b, swapped, row_bytes);
}

static void sift(char *rows, size_t at, size_t count, size_t row_bytes,
                 bool (*less)(const void *a, const void *b))
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && less(rows + child * row_bytes, rows + (child + 1) * row_bytes))
            child++;
        if (!less(rows + at * row_bytes, rows + child * row_bytes))
            return;
        rows_swap(rows + at * row_bytes, rows + child * row_bytes, row_bytes);
    }
}

/* Much of what is sorted was made in order. */
static bool is_sorted(const char *rows, size_t count, size_t row_bytes,
                      bool (*less)(const void *a, const void *b))
{
    for (size_t i = 1; i < count; i++)
        if (less(rows + i * row_bytes, rows + (i - 1) * row_bytes))
            return false;
    return true;
}

void crn_sort(void *rows, size_t count, size_t row_bytes,
              bool (*less)(const void *a, const void *b))
{
    if (is_sorted(rows, count, row_bytes, less))
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift(rows, i, count, row_bytes, less);
    for (size_t left = count; left-- > 1;) {
        rows_swap(rows, (char *)rows + left * row_bytes, row_bytes);
        sift(rows, 0, left, row_bytes, less);
    }
}
