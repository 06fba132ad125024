/*
 * Where somebody may hold memory that nobody can see, verdicts stay what they are, and none is sure.
 */
#include <criterion/criterion.h>

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

TestSuite(mark_unknown, .init = setup, .fini = teardown);

/* The confidence of the leak that has this verdict. */
static enum crn_confidence confidence_of(enum crn_verdict verdict)
{
    for (size_t i = 0; i < maker.mark.group_count; i++)
        if (maker.mark.groups[i].verdict == verdict)
            return (enum crn_confidence)maker.mark.groups[i].confidence;
    cr_assert(false, "no leak is %s", verdict_word(verdict));
    return CRN_LIKELY;
}

/* One block of each kind: live, left by a completed coroutine, in an abandoned one's body, lost. */
static void each_make(void)
{
    uintptr_t *live = maker_block(&maker.heap, 64);
    uintptr_t *left = maker_block(&maker.heap, 64), *held = maker_block(&maker.heap, 64);
    uintptr_t *old_stack = maker_memory(&maker, 4096), *stack = maker_memory(&maker, 4096);
    uintptr_t *lost = maker_block(&maker.heap, 64);
    *maker_global(&maker) = (uintptr_t)live;
    old_stack[100] = (uintptr_t)left;
    maker_coro(&maker, CRN_CORO_COMPLETED, old_stack, 4096, old_stack);
    stack[500] = (uintptr_t)held;
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 400);
    maker_mark(&maker);
    assert_verdict(&maker, live, CRN_VERDICT_LIVE);
    assert_verdict(&maker, left, CRN_VERDICT_COMPLETED);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    assert_verdict(&maker, lost, CRN_VERDICT_LOST);
}

Test(mark_unknown, every_leak_is_only_likely_then)
{
    maker.snap.unknown_holder = "an io_uring request in flight";
    each_make();
    cr_assert_eq(confidence_of(CRN_VERDICT_COMPLETED), CRN_LIKELY);
    cr_assert_eq(confidence_of(CRN_VERDICT_ABANDONED), CRN_LIKELY);
    cr_assert_eq(confidence_of(CRN_VERDICT_LOST), CRN_LIKELY);
}

Test(mark_unknown, otherwise_they_are_proven)
{
    each_make();
    cr_assert_eq(confidence_of(CRN_VERDICT_COMPLETED), CRN_PROVEN);
    cr_assert_eq(confidence_of(CRN_VERDICT_ABANDONED), CRN_PROVEN);
    cr_assert_eq(confidence_of(CRN_VERDICT_LOST), CRN_PROVEN);
}
