/*
 * The table of ranges that may overlap, against a plain array that is looked through from end to
 * end.
 */
#include "snap/intervals.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { ROWS = 300, SPACE = 5000 };

static struct crn_interval rows[ROWS];
static struct crn_intervals intervals = {.rows = rows};

static void dice_fill(unsigned seed, size_t count, unsigned longest)
{
    srand(seed);
    intervals.count = count;
    for (size_t i = 0; i < count; i++) {
        uintptr_t start = (uintptr_t)rand() % SPACE;
        rows[i] = (struct crn_interval){
            .start = start, .end = start + (uintptr_t)rand() % longest, .value = (uint32_t)i};
    }
    crn_intervals_seal(&intervals);
}

static bool any_overlaps(uintptr_t start, uintptr_t end)
{
    for (size_t i = 0; i < intervals.count; i++)
        if (rows[i].start < end && start < rows[i].end)
            return true;
    return false;
}

static bool any_holds(uintptr_t address)
{
    for (size_t i = 0; i < intervals.count; i++)
        if (address - rows[i].start < rows[i].end - rows[i].start)
            return true;
    return false;
}

Test(intervals, an_empty_table_finds_nothing)
{
    struct crn_intervals empty = {NULL, 0};
    crn_intervals_seal(&empty);
    cr_assert(crn_intervals_find(&empty, 100) == NULL && !crn_intervals_overlap(&empty, 0, 100));
}

Test(intervals, a_long_range_is_found_behind_many_short_ones)
{
    intervals.count = ROWS;
    rows[0] = (struct crn_interval){.start = 1, .end = SPACE, .value = 77};
    for (uint32_t i = 1; i < ROWS; i++)
        rows[i] = (struct crn_interval){.start = 10 * i, .end = 10 * i + 5, .value = i};
    crn_intervals_seal(&intervals);
    cr_assert_eq(crn_intervals_find(&intervals, 2004)->value, 200);
    cr_assert_eq(crn_intervals_find(&intervals, 2005)->value, 77);
    cr_assert(crn_intervals_find(&intervals, SPACE) == NULL);
}

Test(intervals, finds_what_an_array_finds)
{
    for (unsigned seed = 1; seed < 30; seed++) {
        dice_fill(seed, seed * 10, seed % 2 != 0 ? 20 : 900);
        for (uintptr_t address = 0; address < SPACE + 1000; address += 7) {
            const struct crn_interval *found = crn_intervals_find(&intervals, address);
            cr_assert_eq(found != NULL, any_holds(address));
            cr_assert(found == NULL || (found->start <= address && address < found->end));
            cr_assert_eq(crn_intervals_overlap(&intervals, address, address + seed),
                         any_overlaps(address, address + seed));
        }
    }
}
