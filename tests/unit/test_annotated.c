/*
 * What the registry learns from switches that are announced to sanitizers.
 */
#include "coro/annotated.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BYTES = 64 * 1024 };
static char own[BYTES], stacks[2][BYTES];
static struct crn_thread thread;
static struct crn_annotated_switch announced;

static void setup(void)
{
    cr_assert(crn_coros_init());
    memset(&thread, 0, sizeof thread);
    thread.tid = 1;
    thread.own_start = (uintptr_t)own;
    thread.own_end = (uintptr_t)own + sizeof own;
    crn_thread_enter(&thread, thread.own_start, thread.own_end, 0);
}

TestSuite(annotated, .init = setup);

/* The thread goes from its place on one stack to another, both announced. */
static void switch_stacks(char *from, char *to, bool has_place)
{
    struct crn_saved_registers registers = {.rbx = 0x1000, .rsp = (uintptr_t)from + BYTES / 2};
    crn_annotated_start(&thread, (uintptr_t)to, BYTES, has_place, &registers, 0, &announced);
    crn_annotated_finish(&thread, (uintptr_t)to + BYTES / 2, &announced);
}

static struct crn_coro *coro_on(const char *stack)
{
    uint32_t id = crn_coro_find_locked((uintptr_t)stack + 1);
    return id != 0 ? crn_coro_at(id) : NULL;
}

Test(annotated, a_stack_is_entered_with_the_range_that_was_told)
{
    switch_stacks(own, stacks[0], true);
    const struct crn_coro *coro = coro_on(stacks[0]);
    cr_assert(coro != NULL && coro->mechanism == CRN_MECHANISM_ANNOTATED);
    cr_assert(coro->stack_start == (uintptr_t)stacks[0] &&
              coro->stack_end == (uintptr_t)stacks[0] + BYTES);
    cr_assert(coro->state == CRN_CORO_RUNNING && crn_coro_at(thread.coro) == coro);
    cr_assert_null(coro_on(own));
}

Test(annotated, one_that_is_left_is_suspended_with_its_registers)
{
    struct crn_coro_body body;
    switch_stacks(own, stacks[0], true);
    switch_stacks(stacks[0], own, true);
    const struct crn_coro *coro = coro_on(stacks[0]);
    cr_assert(coro->state == CRN_CORO_SUSPENDED && thread.coro == 0);
    coro->kind->body_get(coro, &body);
    cr_assert(body.start == coro->stack_start && body.end == coro->stack_end && !body.is_exact);
    cr_assert(body.word_count == 6 && body.words[0] == 0x1000);
}

Test(annotated, one_that_gives_no_place_has_ended)
{
    switch_stacks(own, stacks[0], true);
    switch_stacks(stacks[0], own, false);
    cr_assert_eq(coro_on(stacks[0])->state, CRN_CORO_COMPLETED);
}

Test(annotated, where_nobody_gives_a_place_that_says_nothing)
{
    switch_stacks(own, stacks[0], false);
    switch_stacks(stacks[0], own, false);
    cr_assert_eq(coro_on(stacks[0])->state, CRN_CORO_SUSPENDED);
}

Test(annotated, a_suspended_one_goes_on_and_an_ended_one_makes_way)
{
    switch_stacks(own, stacks[0], true);
    switch_stacks(stacks[0], stacks[1], true);
    switch_stacks(stacks[1], stacks[0], true);
    cr_assert(crn_coros.seen == 2 && coro_on(stacks[0])->state == CRN_CORO_RUNNING);
    switch_stacks(stacks[0], stacks[1], false);
    switch_stacks(stacks[1], stacks[0], true);
    cr_assert(crn_coros.seen == 3 && crn_coros.destroyed == 1);
    cr_assert_eq(coro_on(stacks[0])->state, CRN_CORO_RUNNING);
}

Test(annotated, one_that_is_known_better_stays_what_it_is)
{
    uintptr_t start = (uintptr_t)stacks[0];
    uint32_t id = crn_coro_create_locked(&crn_announced_ucontext, start, start + BYTES,
                                         CRN_CORO_CREATED);
    crn_coro_at(id)->saved.sp = 0x1234;
    switch_stacks(own, stacks[0], true);
    cr_assert(coro_on(stacks[0]) == crn_coro_at(id) && crn_coros.seen == 1);
    cr_assert(crn_coro_at(id)->mechanism == CRN_MECHANISM_UCONTEXT);
}

Test(annotated, finish_tells_the_stack_that_was_left)
{
    switch_stacks(own, stacks[0], true);
    cr_assert(announced.left.start == (uintptr_t)own &&
              announced.left.end == (uintptr_t)own + sizeof own);
}

/* A fiber runs on a stack that was found by its sp, and leaves it for the thread. */
static struct crn_coro *fiber_run(struct crn_fiber *fiber, struct crn_fiber *main_fiber,
                                  uint8_t flags)
{
    uintptr_t start = (uintptr_t)stacks[0];
    struct crn_saved_registers registers = {.rsp = (uintptr_t)own + BYTES / 2};
    crn_fiber_switch(&thread, main_fiber, fiber, &registers);
    if (coro_on(stacks[0]) == NULL)
        crn_coro_create_locked(&crn_announced_stack, start, start + BYTES, CRN_CORO_RUNNING);
    coro_on(stacks[0])->flags |= flags;
    crn_coro_enter_locked(&thread, crn_coro_find_locked(start));
    registers.rsp = start + BYTES / 2;
    crn_fiber_switch(&thread, fiber, main_fiber, &registers);
    return coro_on(stacks[0]);
}

Test(annotated, a_fiber_is_the_stack_it_leaves_and_its_name_a_handle)
{
    struct crn_coro_context contexts[4];
    struct crn_fiber *main_fiber = crn_fiber_create(&thread, true);
    struct crn_fiber *fiber = crn_fiber_create(&thread, false);
    const struct crn_coro *coro = fiber_run(fiber, main_fiber, CRN_CORO_NO_MERGE);
    cr_assert(coro->mechanism == CRN_MECHANISM_ANNOTATED && coro->state == CRN_CORO_SUSPENDED);
    cr_assert_eq(thread.coro, 0);
    cr_assert_eq(coro->kind->contexts_get(coro, contexts), 1);
    cr_assert(contexts[0].start == (uintptr_t)fiber && contexts[0].is_handle);
    crn_fiber_destroy(&thread, fiber);
    cr_assert_eq(coro->state, CRN_CORO_COMPLETED);
}

Test(annotated, a_stack_whose_range_is_a_guess_stays_unknown)
{
    struct crn_fiber *main_fiber = crn_fiber_create(&thread, true);
    struct crn_fiber *fiber = crn_fiber_create(&thread, false);
    cr_assert_eq(fiber_run(fiber, main_fiber, 0)->mechanism, CRN_MECHANISM_STACK);
}

Test(annotated, memory_with_two_fibers_is_no_ones_stack)
{
    struct crn_fiber *main_fiber = crn_fiber_create(&thread, true);
    struct crn_fiber *fiber = crn_fiber_create(&thread, false);
    struct crn_fiber *other = crn_fiber_create(&thread, false);
    fiber_run(fiber, main_fiber, CRN_CORO_NO_MERGE);
    cr_assert_eq(fiber_run(other, main_fiber, 0)->mechanism, CRN_MECHANISM_STACK);
    cr_assert_eq(fiber_run(fiber, main_fiber, 0)->mechanism, CRN_MECHANISM_STACK);
}
