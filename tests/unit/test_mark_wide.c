/*
 * Blocks of 256 KiB and more, which have no rows, are judged like those that have.
 */
#include "make_snap.h"
#include "mark/target.h"

enum { WIDE = 300000, JUST_BELOW = 220000 };

static struct maker_snap maker;

static void setup(void)
{
    maker_snap_init(&maker);
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(mark_wide, .init = setup, .fini = teardown);

static uintptr_t *block_of(size_t bytes)
{
    return maker_block(&maker.heap, bytes);
}

Test(mark_wide, a_pointer_anywhere_into_one_holds_it_and_what_it_holds)
{
    static const size_t offsets[] = {0, 8, 4096, 150000, WIDE - 8};
    uintptr_t *wide[CRN_COUNT_OF(offsets)], *inner[CRN_COUNT_OF(offsets)];
    for (unsigned i = 0; i < CRN_COUNT_OF(offsets); i++) {
        wide[i] = block_of(WIDE);
        inner[i] = block_of(48);
        wide[i][WIDE / sizeof(uintptr_t) - 1] = (uintptr_t)inner[i];
        *maker_global(&maker) = (uintptr_t)wide[i] + offsets[i];
    }
    maker_mark(&maker);
    for (unsigned i = 0; i < CRN_COUNT_OF(offsets); i++) {
        assert_verdict(&maker, wide[i], CRN_VERDICT_LIVE);
        assert_verdict(&maker, inner[i], CRN_VERDICT_LIVE);
    }
}

Test(mark_wide, one_that_nothing_points_to_is_lost_with_what_it_holds)
{
    uintptr_t *before = block_of(64), *lost = block_of(WIDE), *between = block_of(JUST_BELOW),
              *wide = block_of(2 * WIDE), *inner = block_of(64);
    lost[100] = (uintptr_t)inner;
    *maker_global(&maker) = (uintptr_t)before;
    *maker_global(&maker) = (uintptr_t)between + 200000;
    *maker_global(&maker) = (uintptr_t)wide;
    maker_mark(&maker);
    assert_verdict(&maker, lost, CRN_VERDICT_LOST);
    assert_verdict(&maker, inner, CRN_VERDICT_LOST);
    assert_verdict(&maker, before, CRN_VERDICT_LIVE);
    assert_verdict(&maker, between, CRN_VERDICT_LIVE);
    assert_verdict(&maker, wide, CRN_VERDICT_LIVE);
    cr_assert(maker.mark.live_blocks == 5 && maker.mark.wide_count == 2);
}

Test(mark_wide, a_ring_of_them_has_one_direct_owner)
{
    uintptr_t *ring[3];
    for (unsigned i = 0; i < 3; i++)
        ring[i] = block_of(WIDE);
    for (unsigned i = 0; i < 3; i++)
        ring[i][5] = (uintptr_t)ring[(i + 1) % 3];
    maker_mark(&maker);
    size_t direct = 0;
    for (size_t i = 0; i < maker.mark.suspect_count; i++)
        direct += maker.mark.suspects[i].is_direct;
    cr_assert(maker.mark.suspect_count == 3 && direct == 1);
}

Test(mark_wide, one_that_was_freed_is_none_and_its_pages_may_hold_others)
{
    uintptr_t *wide = block_of(WIDE);
    *maker_global(&maker) = (uintptr_t)wide + 5000;
    unsigned seen = 0;
    crn_record_clear(crn_index_slot(&maker.heap.heap.index, (uintptr_t)wide, &seen));
    uintptr_t small = crn_align_up((uintptr_t)wide, 4096) + 4096;
    maker_record(&maker.heap, small, 64, 0);
    maker_mark(&maker);
    assert_verdict(&maker, (void *)small, CRN_VERDICT_LOST);
    cr_assert_eq(maker.mark.wide_count, 0);
}
