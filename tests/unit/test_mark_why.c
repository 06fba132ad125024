/*
 * What the report says a verdict leans on, by mechanism.
 */
#include "make_snap.h"
#include "mark/why.h"

enum { STACK_BYTES = 1024 };

static struct maker_snap maker;

static void setup(void)
{
    maker_snap_init(&maker);
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(why, .init = setup, .fini = teardown);

/* The sentence about the block that only the stack of such a coroutine holds. */
static const char *why_of(enum crn_mechanism mechanism, enum crn_coro_state state, bool is_sure)
{
    char *stack = maker_memory(&maker, STACK_BYTES);
    uint32_t coro = maker_coro(&maker, state, stack, STACK_BYTES, stack + STACK_BYTES / 2);
    maker.coros[coro].mechanism = (uint8_t)mechanism;
    maker.coros[coro].is_sure = is_sure;
    *(uintptr_t *)(stack + STACK_BYTES / 2) = (uintptr_t)maker_block(&maker.heap, 32);
    maker_mark(&maker);
    for (size_t i = 0; i < maker.mark.group_count; i++)
        if (maker.mark.groups[i].example_coro == coro + 1)
            return crn_why_by_mechanism(&maker.mark, &maker.mark.groups[i]);
    cr_assert(false, "no leak");
    return NULL;
}

static void assert_says(const char *why, const char *words)
{
    cr_assert_not_null(why);
    cr_assert_not_null(strstr(why, words), "%s", why);
}

Test(why, switches_of_ucontext_were_seen)
{
    assert_says(why_of(CRN_MECHANISM_UCONTEXT, CRN_CORO_SUSPENDED, true),
                "every switch of it was seen");
    assert_says(why_of(CRN_MECHANISM_UCONTEXT, CRN_CORO_COMPLETED, true),
                "was seen to run to its end");
    assert_says(why_of(CRN_MECHANISM_UCONTEXT, CRN_CORO_CREATED, true), "never started");
}

Test(why, others_were_found_in_memory)
{
    assert_says(why_of(CRN_MECHANISM_SETJMP, CRN_CORO_SUSPENDED, true), "jmp_buf found in memory");
    assert_says(why_of(CRN_MECHANISM_FCONTEXT, CRN_CORO_SUSPENDED, true), "found on its stack");
    assert_says(why_of(CRN_MECHANISM_SWITCH, CRN_CORO_SUSPENDED, true), "known by its code");
    assert_says(why_of(CRN_MECHANISM_FCONTEXT, CRN_CORO_COMPLETED, true), "has ended");
}

Test(why, a_guess_is_called_one)
{
    for (unsigned mechanism = CRN_MECHANISM_SETJMP; mechanism <= CRN_MECHANISM_SWITCH;
         mechanism++) {
        assert_says(why_of(mechanism, CRN_CORO_SUSPENDED, false), "seems to be suspended");
        assert_says(why_of(mechanism, CRN_CORO_COMPLETED, false), "seems to have ended");
    }
}

Test(why, annotations_are_the_programs_word)
{
    assert_says(why_of(CRN_MECHANISM_ANNOTATED, CRN_CORO_SUSPENDED, false),
                "the program announced");
    assert_says(why_of(CRN_MECHANISM_ANNOTATED, CRN_CORO_COMPLETED, false), "left for good");
}

Test(why, a_mechanism_of_no_known_kind_has_nothing_to_say)
{
    cr_assert_null(why_of(CRN_MECHANISM_PROBE, CRN_CORO_SUSPENDED, true));
}
