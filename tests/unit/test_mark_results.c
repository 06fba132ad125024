/*
 * Completed coroutines that announced a result: what they hold may still be taken by whoever holds
 * their frame.
 */
#include "make_snap.h"

static struct maker_snap maker;

static void setup(void)
{
    maker_snap_init(&maker);
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(results, .init = setup, .fini = teardown);

/* A completed coroutine whose frame is a block of 64 bytes; make them in ascending order. */
static uintptr_t *completed_make(bool keeps_result)
{
    uintptr_t *frame = maker_block(&maker.heap, 64);
    uint32_t index = maker_coro(&maker, CRN_CORO_COMPLETED, frame, 64, frame);
    maker.coros[index].mechanism = CRN_MECHANISM_PROBE;
    maker.coros[index].probe = index + 1;
    maker.coros[index].keeps_result = keeps_result;
    return frame;
}

static enum crn_confidence confidence_of(const void *block)
{
    for (size_t i = 0; i < maker.mark.suspect_count; i++)
        if (maker.mark.suspects[i].start == (uintptr_t)block)
            return (enum crn_confidence)maker.mark.groups[maker.mark.suspects[i].group - 1]
                .confidence;
    cr_assert(false, "no suspect");
    return CRN_LIKELY;
}

Test(results, what_a_held_one_left_is_only_likely_a_leak)
{
    uintptr_t *frame = completed_make(true), *result = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)result;
    *maker_global(&maker) = (uintptr_t)frame;
    maker_mark(&maker);
    assert_verdict(&maker, frame, CRN_VERDICT_LIVE);
    assert_verdict(&maker, result, CRN_VERDICT_COMPLETED);
    cr_assert(confidence_of(result) == CRN_LIKELY);
}

Test(results, what_one_left_that_nobody_holds_is_a_leak_with_its_frame)
{
    uintptr_t *frame = completed_make(true), *result = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)result;
    maker_mark(&maker);
    assert_verdict(&maker, frame, CRN_VERDICT_COMPLETED);
    cr_assert(confidence_of(frame) == CRN_PROVEN && confidence_of(result) == CRN_PROVEN);
}

Test(results, without_a_result_it_is_a_leak_whoever_holds_the_frame)
{
    uintptr_t *frame = completed_make(false), *left = maker_block(&maker.heap, 32);
    frame[5] = (uintptr_t)left;
    *maker_global(&maker) = (uintptr_t)frame;
    maker_mark(&maker);
    cr_assert(confidence_of(left) == CRN_PROVEN);
}

/* The result of the first may be the second: who takes the one can take the other. */
Test(results, one_that_a_held_one_leads_to_may_be_taken_too)
{
    for (int order = 0; order < 2; order++) {
        uintptr_t *low = completed_make(true), *high = completed_make(true);
        uintptr_t *first = order ? high : low, *second = order ? low : high;
        uintptr_t *result = maker_block(&maker.heap, 32);
        first[5] = (uintptr_t)second;
        second[5] = (uintptr_t)result;
        *maker_global(&maker) = (uintptr_t)first;
        maker_mark(&maker);
        assert_verdict(&maker, result, CRN_VERDICT_COMPLETED);
        cr_assert(confidence_of(result) == CRN_LIKELY);
    }
}
