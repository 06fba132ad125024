/*
 * What Boost keeps above the frames, made by hand: no Boost is needed.
 *
 *     bounds.start            base          record                top    bounds.end
 *          | dead | frames …   | …           | bytes, top | …      |          |
 */
#include "coro/boost.h"

#include <criterion/criterion.h>

enum { WORDS = 8192, BASE = 8000, RECORD = 8010, TOP = 8100, GUARD_WORDS = 512 };

static uintptr_t memory[WORDS];
static struct crn_stack_bounds bounds;
static struct crn_range stack;

static uintptr_t at(size_t word)
{
    return (uintptr_t)&memory[word];
}

static void setup(void)
{
    bounds = (struct crn_stack_bounds){at(0), at(WORDS)};
}

static void record_make(size_t bytes, uintptr_t top)
{
    memory[RECORD] = bytes;
    memory[RECORD + 1] = top;
}

static bool find(void)
{
    return crn_boost_stack_find(at(BASE), bounds, &stack);
}

TestSuite(boost, .init = setup);

Test(boost, the_record_tells_where_the_stack_begins_and_ends)
{
    record_make(TOP * sizeof(uintptr_t), at(TOP));
    cr_assert(find());
    cr_assert_eq(stack.start, at(0));
    cr_assert_eq(stack.end, at(TOP));
}

Test(boost, a_stack_may_begin_with_a_guard_page_below_what_can_be_read)
{
    record_make((TOP + GUARD_WORDS) * sizeof(uintptr_t), at(TOP));
    cr_assert(find());
    cr_assert_eq(stack.start, at(0));
}

Test(boost, one_of_many_stacks_in_a_block_is_told_from_the_others)
{
    record_make((TOP - 4000) * sizeof(uintptr_t), at(TOP));
    cr_assert(find());
    cr_assert_eq(stack.start, at(4000));
}

Test(boost, without_a_record_there_is_no_answer)
{
    cr_assert(!find());
}

Test(boost, words_that_do_not_enclose_the_frames_are_no_record)
{
    record_make(TOP * sizeof(uintptr_t), at(RECORD)); /* ends below itself */
    cr_assert(!find());
    record_make(TOP * sizeof(uintptr_t), bounds.end + 8); /* above the memory */
    cr_assert(!find());
    record_make((TOP - BASE) * sizeof(uintptr_t), at(TOP)); /* begins above the frames */
    cr_assert(!find());
    record_make(100, at(TOP)); /* too small for anybody */
    cr_assert(!find());
    record_make(SIZE_MAX, at(TOP));
    cr_assert(!find());
    record_make(at(TOP), at(TOP)); /* begins at address 0 */
    cr_assert(!find());
}

Test(boost, a_record_at_the_end_of_memory_is_not_read_beyond_it)
{
    bounds.end = at(RECORD + 1);
    record_make(TOP * sizeof(uintptr_t), at(TOP));
    cr_assert(!find());
    bounds.end = at(BASE);
    cr_assert(!find());
}

Test(boost, without_boost_fiber_nothing_has_ended_and_nothing_is_linked)
{
    cr_assert(!crn_boost_has_ended((uintptr_t)setup));
    cr_assert(!crn_boost_has_ended(0));
    cr_assert_eq(crn_boost_link_find(at(BASE), at(100), bounds), 0);
}
