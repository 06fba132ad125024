/*
 * Heapsort.  See sort.h.
 */
#include "base/sort.h"

#include <string.h>

static void rows_swap(char *a, char *b, size_t row_bytes)
{
    size_t at = 0;
    for (; at + sizeof(uint64_t) <= row_bytes; at += sizeof(uint64_t)) {
        uint64_t left, right;
        memcpy(&left, a + at, sizeof left);
        memcpy(&right, b + at, sizeof right);
        memcpy(a + at, &right, sizeof right);
        memcpy(b + at, &left, sizeof left);
    }
    for (; at < row_bytes; at++) {
        char left = a[at];
        a[at] = b[at];
        b[at] = left;
    }
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

/* Much of what is sorted was made in order, or in the opposite one. */
static void descending_reverse(char *rows, size_t count, size_t row_bytes,
                               bool (*less)(const void *a, const void *b))
{
    for (size_t i = 1; i < count; i++)
        if (!less(rows + i * row_bytes, rows + (i - 1) * row_bytes))
            return;
    for (size_t i = 0; i < count / 2; i++)
        rows_swap(rows + i * row_bytes, rows + (count - 1 - i) * row_bytes, row_bytes);
}

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
    descending_reverse(rows, count, row_bytes, less);
    if (is_sorted(rows, count, row_bytes, less))
        return;
    for (size_t i = count / 2; i-- > 0;)
        sift(rows, i, count, row_bytes, less);
    for (size_t left = count; left-- > 1;) {
        rows_swap(rows, (char *)rows + left * row_bytes, row_bytes);
        sift(rows, 0, left, row_bytes, less);
    }
}
