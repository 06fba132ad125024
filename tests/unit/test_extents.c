/*
 * jemalloc's memory outside the region: it comes and goes in pieces, and what is left is exact.
 */
#include "make_heap.h"
#include "heap/extents.h"

static struct crn_extents extents;
static struct crn_range all[64];

static size_t copy(void)
{
    size_t count = crn_extents_copy_locked(&extents, all, CRN_COUNT_OF(all));
    cr_assert_eq(count, crn_extents_count_locked(&extents));
    return count;
}

Test(extents, there_are_none_at_first)
{
    crn_extents_remove(&extents, 0x10000, 4096, 1);
    cr_assert_not(crn_extents_have(&extents, 0x10000, 1));
    cr_assert_eq(crn_extents_count_locked(&extents), 0);
}

Test(extents, they_are_listed_in_order)
{
    crn_extents_add(&extents, 0x30000, 4096, 1);
    crn_extents_add(&extents, 0x10000, 100, 1);
    cr_assert_eq(copy(), 2);
    cr_assert(all[0].start == 0x10000 && all[0].end == 0x11000 && all[1].start == 0x30000);
    cr_assert(crn_extents_have(&extents, 0x10fff, 1) && !crn_extents_have(&extents, 0x11000, 1));
}

Test(extents, a_piece_of_one_goes_and_the_rest_stays)
{
    crn_extents_add(&extents, 0x10000, 0x10000, 1);
    crn_extents_remove(&extents, 0x14000, 0x2000, 1);
    cr_assert_eq(copy(), 2);
    cr_assert(all[0].start == 0x10000 && all[0].end == 0x14000);
    cr_assert(all[1].start == 0x16000 && all[1].end == 0x20000);
}

Test(extents, one_piece_may_cover_many)
{
    for (uintptr_t i = 0; i < 10; i++)
        crn_extents_add(&extents, 0x10000 + i * 0x1000, 0x1000, 1);
    crn_extents_remove(&extents, 0x12000, 0x6000, 1);
    cr_assert_eq(copy(), 4);
    crn_extents_remove(&extents, 0, 0x100000, 1);
    cr_assert_eq(copy(), 0);
}
