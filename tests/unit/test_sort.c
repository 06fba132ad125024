/*
 * Heapsort puts rows of any size in order, whatever order they came in.
 */
#include "make_heap.h"
#include "base/sort.h"

struct row {
    uint32_t key;
    char rest[124];
};

static bool row_less(const void *a, const void *b)
{
    return ((const struct row *)a)->key < ((const struct row *)b)->key;
}

static bool number_less(const void *a, const void *b)
{
    return *(const uint64_t *)a < *(const uint64_t *)b;
}

static int number_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

Test(sort, nothing_and_one_row_stay_as_they_are)
{
    uint64_t one = 7;
    crn_sort(NULL, 0, 8, number_less);
    crn_sort(&one, 1, 8, number_less);
    cr_assert_eq(one, 7);
}

Test(sort, random_numbers_come_out_as_qsort_would_put_them)
{
    enum { MOST = 400 };
    struct maker_random random = maker_random_from(2);
    for (unsigned count = 0; count < MOST; count++) {
        uint64_t ours[MOST], theirs[MOST];
        size_t values = 1 + maker_below(&random, count + 1); /* few values: many are equal */
        for (unsigned i = 0; i < count; i++)
            ours[i] = theirs[i] = maker_below(&random, values);
        crn_sort(ours, count, sizeof ours[0], number_less);
        qsort(theirs, count, sizeof theirs[0], number_compare);
        cr_assert(memcmp(ours, theirs, count * sizeof ours[0]) == 0, "%u rows", count);
    }
}

Test(sort, ascending_descending_and_equal_rows_are_sorted)
{
    enum { COUNT = 3000 };
    static uint64_t rows[3][COUNT];
    for (uint64_t i = 0; i < COUNT; i++) {
        rows[0][i] = i;
        rows[1][i] = COUNT - i;
        rows[2][i] = 5;
    }
    for (unsigned k = 0; k < 3; k++) {
        crn_sort(rows[k], COUNT, 8, number_less);
        for (unsigned i = 1; i < COUNT; i++)
            cr_assert(rows[k][i - 1] <= rows[k][i]);
    }
}

Test(sort, the_largest_rows_move_whole)
{
    static struct row rows[500];
    struct maker_random random = maker_random_from(4);
    cr_assert_eq(sizeof rows[0], (size_t)CRN_SORT_ROW_BYTES_MAX);
    for (unsigned i = 0; i < 500; i++) {
        rows[i].key = (uint32_t)maker_random(&random);
        memset(rows[i].rest, (int)(rows[i].key & 0xff), sizeof rows[i].rest);
    }
    crn_sort(rows, 500, sizeof rows[0], row_less);
    for (unsigned i = 0; i < 500; i++) {
        cr_assert(i == 0 || rows[i - 1].key <= rows[i].key);
        for (unsigned k = 0; k < sizeof rows[i].rest; k++)
            cr_assert_eq((unsigned char)rows[i].rest[k], rows[i].key & 0xff);
    }
}
