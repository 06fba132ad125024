/*
 * Opaque ranges in order: stacks stay disjoint, and nobody becomes unreachable by that.
 */
#include "snap/build.h"

#include <criterion/criterion.h>

static struct crn_opaque rows[8];
static struct crn_snap_coro coros[4];
static struct crn_snap snap;

static void row(uintptr_t start, uintptr_t end, uint32_t coro, bool is_context, bool is_handle)
{
    rows[snap.opaque_count++] = (struct crn_opaque){start, end, coro, is_context, is_handle};
}

static void setup(void)
{
    snap = (struct crn_snap){.opaques = rows, .coros = coros, .coro_count = CRN_COUNT_OF(coros)};
}

TestSuite(opaques, .init = setup);

Test(opaques, they_are_ascending)
{
    row(0x3000, 0x4000, 1, false, false);
    row(0x1000, 0x2000, 0, false, false);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 2);
    cr_assert_eq(rows[0].start, 0x1000);
    cr_assert_eq(rows[1].start, 0x3000);
}

Test(opaques, of_two_stacks_that_meet_on_a_page_the_lower_one_has_it)
{
    row(0x1f80, 0x3000, 1, false, false);
    row(0x1000, 0x2000, 0, false, false);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 2);
    cr_assert_eq(rows[1].start, 0x2000);
    cr_assert_eq(rows[1].coro, 1);
    cr_assert(!coros[0].is_root && !coros[1].is_root);
}

Test(opaques, who_is_covered_by_anothers_stack_is_live)
{
    row(0x1000, 0x3000, 0, false, false);
    row(0x1800, 0x2000, 1, false, false);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 1);
    cr_assert(coros[1].is_root && !coros[0].is_root);
}

Test(opaques, equal_areas_are_one_and_a_handle_if_either_is)
{
    row(0x1000, 0x1040, 0, true, false);
    row(0x1000, 0x1040, 1, true, true);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 1);
    cr_assert(rows[0].is_handle);
    cr_assert_eq(rows[0].coro, 1);
}

Test(opaques, a_jmp_buf_on_anothers_stack_makes_its_coroutine_live)
{
    coros[1].mechanism = CRN_MECHANISM_SETJMP;
    row(0x1000, 0x2000, 0, false, false);
    row(0x1800, 0x1840, 1, true, true);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 1);
    cr_assert(coros[1].is_root);
}

Test(opaques, an_area_on_its_own_stack_vouches_for_nobody)
{
    coros[0].mechanism = CRN_MECHANISM_SETJMP;
    row(0x1000, 0x2000, 0, false, false);
    row(0x1800, 0x1840, 0, true, true);
    crn_build_opaques_finish(&snap);
    cr_assert_eq(snap.opaque_count, 1);
    cr_assert(!coros[0].is_root);
}
