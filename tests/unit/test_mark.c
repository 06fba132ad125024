/*
 * Verdicts, from hand-made pictures of a process.  Without coroutines: test_mark_live.c; random
 * ones: test_mark_random.c.
 */
#include "check/suspects.h"
#include "mark_suite.h"

/* Coroutines: bodies, handles, states. */

enum { STACK_BYTES = 1024 };

/* A stack in memory of its own, whose body starts in its middle. */
static char *stack_make(enum crn_coro_state state)
{
    char *stack = maker_memory(&maker, STACK_BYTES);
    maker_coro(&maker, state, stack, STACK_BYTES, stack + STACK_BYTES / 2);
    return stack;
}

/* A word that the coroutine on `stack` would read, or (below) would not. */
static uintptr_t *word_read(char *stack)
{
    return (uintptr_t *)(stack + STACK_BYTES / 2 + 128);
}
static uintptr_t *word_below(char *stack)
{
    return (uintptr_t *)(stack + STACK_BYTES / 2 - 128);
}

Test(mark, a_suspended_coroutine_lives_by_a_pointer_into_its_stack)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64), *below = block_of(64);
    *word_read(stack) = (uintptr_t)held;
    *word_below(stack) = (uintptr_t)below;
    *maker_global(&maker) = (uintptr_t)stack + 40;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    assert_verdict(&maker, below, CRN_VERDICT_LOST);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_SUSPENDED], 1);
}

Test(mark, a_suspended_coroutine_lives_by_a_pointer_to_its_context)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64), *control = block_of(512);
    *word_read(stack) = (uintptr_t)held;
    maker_opaque(&maker, control + 8, 256, 0, true, true);
    *maker_global(&maker) = (uintptr_t)control;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(mark, a_suspended_coroutine_lives_when_its_context_lies_in_a_global)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64), *inside = block_of(64);
    uintptr_t *control = maker_memory(&maker, 512);
    *word_read(stack) = (uintptr_t)held;
    control[10] = (uintptr_t)inside; /* a saved argument register: not to be read */
    maker_opaque(&maker, control + 8, 256, 0, true, true);
    maker_root(&maker, control, 512, CRN_ROOT_GLOBAL, 8);
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    assert_verdict(&maker, inside, CRN_VERDICT_LOST);
}

Test(mark, a_coroutine_nobody_reaches_is_abandoned)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64), *further = block_of(32);
    *word_read(stack) = (uintptr_t)held;
    held[0] = (uintptr_t)further;
    mark();
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, further, CRN_VERDICT_ABANDONED, false);
    const struct crn_group *group = group_of(CRN_VERDICT_ABANDONED);
    cr_assert(group->blocks == 1 && group->bytes == 64 && group->indirect_blocks == 1 &&
              group->indirect_bytes == 32);
    cr_assert(group->confidence == CRN_PROVEN && group->example == (uintptr_t)held &&
              group->example_word == (uintptr_t)word_read(stack) && group->example_coro == 1);
    cr_assert(maker.mark.coros_in_state[CRN_CORO_ABANDONED] == 1 &&
              maker.mark.coros_in_state[CRN_CORO_SUSPENDED] == 0);
    cr_assert(maker.mark.holder_count == 1 && maker.mark.holders[0].count == 1 &&
              maker.mark.holders[0].state == CRN_CORO_ABANDONED);
}

Test(mark, a_body_never_vouches_for_itself)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *control = block_of(512), *held = block_of(64);
    maker_opaque(&maker, control + 8, 256, 0, true, true);
    *word_read(stack) = (uintptr_t)control;
    word_read(stack)[1] = (uintptr_t)stack;
    word_read(stack)[2] = (uintptr_t)held;
    mark();
    assert_leak(&maker, control, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, true);
}

Test(mark, two_dead_coroutines_do_not_vouch_for_each_other)
{
    char *a = stack_make(CRN_CORO_SUSPENDED), *b = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64);
    *word_read(a) = (uintptr_t)b;
    *word_read(b) = (uintptr_t)a;
    word_read(b)[1] = (uintptr_t)held;
    mark();
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, true);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_ABANDONED], 2);
}

Test(mark, a_ring_of_coroutines_lives_by_one_handle)
{
    enum { RING = 10 };
    char *stacks[RING];
    uintptr_t *held[RING];
    for (unsigned i = 0; i < RING; i++) {
        stacks[i] = stack_make(CRN_CORO_SUSPENDED);
        held[i] = block_of(64);
        word_read(stacks[i])[1] = (uintptr_t)held[i];
    }
    for (unsigned i = 0; i < RING; i++)
        *word_read(stacks[i]) = (uintptr_t)stacks[(i + 1) % RING];
    mark();
    for (unsigned i = 0; i < RING; i++)
        assert_verdict(&maker, held[i], CRN_VERDICT_ABANDONED);
    *maker_global(&maker) = (uintptr_t)stacks[3];
    mark();
    for (unsigned i = 0; i < RING; i++)
        assert_verdict(&maker, held[i], CRN_VERDICT_LIVE);
}

Test(mark, a_handle_in_a_block_or_a_register_of_another_coroutine_counts)
{
    char *first = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *node = block_of(32), *held = block_of(64);
    maker_coro_word(&maker, (uintptr_t)node);
    char *second = stack_make(CRN_CORO_SUSPENDED);
    node[2] = (uintptr_t)second;
    *word_read(second) = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)first;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(mark, a_running_coroutine_is_live_by_itself)
{
    char *stack = stack_make(CRN_CORO_RUNNING);
    uintptr_t *held = block_of(64);
    *word_read(stack) = (uintptr_t)held;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_RUNNING], 1);
}

Test(mark, a_stale_context_neither_holds_nor_leads)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *held = block_of(64), *in_register = block_of(64);
    uintptr_t *control = maker_memory(&maker, 512);
    *word_read(stack) = (uintptr_t)held;
    control[10] = (uintptr_t)in_register;
    maker_opaque(&maker, control + 8, 256, 0, true, false);
    maker_root(&maker, control, 512, CRN_ROOT_GLOBAL, 8);
    *maker_global(&maker) = (uintptr_t)(control + 9);
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    assert_verdict(&maker, in_register, CRN_VERDICT_LOST);
}

Test(mark, what_a_completed_stack_still_holds_is_completed_even_when_the_stack_is_pooled)
{
    char *stack = stack_make(CRN_CORO_COMPLETED);
    uintptr_t *left = block_of(64), *deep = block_of(64), *shared = block_of(64);
    *word_read(stack) = (uintptr_t)left;
    word_read(stack)[1] = (uintptr_t)shared;
    *word_below(stack) = (uintptr_t)deep;
    *maker_global(&maker) = (uintptr_t)stack;
    *maker_global(&maker) = (uintptr_t)shared;
    mark();
    assert_leak(&maker, left, CRN_VERDICT_COMPLETED, true);
    assert_leak(&maker, deep, CRN_VERDICT_COMPLETED, true);
    assert_verdict(&maker, shared, CRN_VERDICT_LIVE);
    cr_assert_eq(maker.mark.coros_in_state[CRN_CORO_COMPLETED], 1);
}

Test(mark, the_rest_of_a_block_that_holds_a_stack_is_ordinary_heap)
{
    char *block = (char *)block_of(4096);
    uintptr_t *above = block_of(64), *before = block_of(64), *inside = block_of(64);
    maker_coro(&maker, CRN_CORO_COMPLETED, block + 512, 2048, block + 1024);
    *(uintptr_t *)(block + 8) = (uintptr_t)before;
    *(uintptr_t *)(block + 512) = (uintptr_t)inside;
    *(uintptr_t *)(block + 512 + 2048) = (uintptr_t)above;
    *maker_global(&maker) = (uintptr_t)block;
    mark();
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
    assert_verdict(&maker, before, CRN_VERDICT_LIVE);
    assert_verdict(&maker, above, CRN_VERDICT_LIVE);
    assert_verdict(&maker, inside, CRN_VERDICT_COMPLETED);
}

Test(mark, a_pointer_to_the_plain_part_of_a_block_is_no_handle_of_the_stack_in_it)
{
    char *block = (char *)block_of(4096);
    uintptr_t *held = block_of(64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, block + 1024, 2048, block + 1024);
    *(uintptr_t *)(block + 2048) = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)block;
    mark();
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
}

Test(mark, an_abandoned_coroutine_owns_its_stack_and_its_control_block)
{
    char *stack = (char *)block_of(4096);
    uintptr_t *control = block_of(512), *link = block_of(64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    maker_opaque(&maker, control + 8, 256, 0, true, true);
    control[2] = (uintptr_t)link; /* beside the context: heap of the control block */
    mark();
    assert_leak(&maker, stack, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, control, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, link, CRN_VERDICT_ABANDONED, false);
}

Test(mark, the_words_of_a_created_coroutine_are_its_body)
{
    stack_make(CRN_CORO_CREATED);
    uintptr_t *argument = block_of(64);
    maker_coro_word(&maker, (uintptr_t)argument & 0xffffffffu); /* a half leads nowhere */
    maker_coro_word(&maker, (uintptr_t)argument);
    mark();
    assert_leak(&maker, argument, CRN_VERDICT_ABANDONED, true);
    cr_assert(maker.mark.coros_in_state[CRN_CORO_ABANDONED] == 1);
    *maker_global(&maker) = maker.coros[0].stack_start;
    mark();
    assert_verdict(&maker, argument, CRN_VERDICT_LIVE);
    cr_assert(maker.mark.coros_in_state[CRN_CORO_CREATED] == 1);
}

Test(mark, one_past_the_end_of_a_stack_is_a_handle_where_its_block_goes_on)
{
    char *stack = (char *)block_of(2048);
    uintptr_t *held = block_of(64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 1024, stack + 512);
    *word_read(stack) = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)stack + 1024;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED); /* a ucontext is not resumed that way */
    maker.coros[0].mechanism = CRN_MECHANISM_SWITCH;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(mark, one_past_the_end_of_a_stack_that_fills_its_block_is_no_handle)
{
    char *stack = (char *)block_of(1024), *next = (char *)block_of(1024);
    uintptr_t *held = block_of(64);
    cr_assert(next == stack + 1024);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 1024, stack + 512);
    maker.coros[0].mechanism = CRN_MECHANISM_SWITCH;
    *word_read(stack) = (uintptr_t)held;
    *maker_global(&maker) = (uintptr_t)stack + 1024;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
}

/* Confidence, groups, and what is not ours. */

Test(mark, of_two_holders_the_less_sure_one_decides)
{
    char *sure = stack_make(CRN_CORO_SUSPENDED), *guess = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *between = block_of(64), *held = block_of(64);
    maker.coros[1].is_sure = false;
    *word_read(sure) = (uintptr_t)held;
    *word_read(guess) = (uintptr_t)between;
    between[0] = (uintptr_t)held;
    mark();
    assert_leak(&maker, held, CRN_VERDICT_ABANDONED, false);
    cr_assert(group_of(CRN_VERDICT_ABANDONED)->confidence == CRN_LIKELY);
}

Test(mark, of_two_holders_the_completed_one_comes_before_the_abandoned_one)
{
    char *abandoned = stack_make(CRN_CORO_SUSPENDED), *completed = stack_make(CRN_CORO_COMPLETED);
    uintptr_t *held = block_of(64);
    maker.coros[0].is_sure = false;
    *word_read(abandoned) = (uintptr_t)held;
    *word_read(completed) = (uintptr_t)held;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_COMPLETED);
}

Test(mark, coroutines_alike_share_a_holder)
{
    for (unsigned i = 0; i < 6; i++) {
        char *stack = stack_make(CRN_CORO_SUSPENDED);
        maker.coros[i].entry = i < 4 ? 0x4000 : 0x5000;
        *word_read(stack) = (uintptr_t)block_of(64);
    }
    mark();
    cr_assert(maker.mark.holder_count == 2 && maker.mark.group_count == 2);
    cr_assert(maker.mark.holders[0].count == 4 && maker.mark.holders[1].count == 2);
    cr_assert(maker.mark.groups[0].blocks == 4 && maker.mark.groups[1].blocks == 2);
}

Test(mark, lost_blocks_with_one_stack_are_one_group)
{
    for (unsigned i = 0; i < 600; i++)
        maker_record(&maker.heap, maker_place(&maker.heap, 32), 32, 1 + i % 300);
    mark();
    cr_assert(maker.mark.group_count == 300 && maker.mark.suspect_count == 600);
    for (unsigned i = 0; i < 300; i++)
        cr_assert(maker.mark.groups[i].blocks == 2 && maker.mark.groups[i].bytes == 64);
}

Test(mark, inherited_blocks_are_not_judged_and_neither_is_what_they_lead_to)
{
    uintptr_t *inherited = block_of(64);
    maker.snap.birth_from = crn_heap_line_draw(&maker.heap.heap);
    uintptr_t *held = block_of(64), *lost = block_of(64);
    inherited[0] = (uintptr_t)held;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    assert_leak(&maker, lost, CRN_VERDICT_LOST, true);
    cr_assert(maker.mark.suspect_count == 1 && maker.mark.live_blocks == 2);
}

Test(mark, an_inherited_block_that_a_dead_coroutine_holds_leads_to_nobodys_leak)
{
    char *stack = stack_make(CRN_CORO_SUSPENDED);
    uintptr_t *inherited = block_of(64);
    maker.snap.birth_from = crn_heap_line_draw(&maker.heap.heap);
    uintptr_t *held = block_of(64);
    inherited[0] = (uintptr_t)held;
    *word_read(stack) = (uintptr_t)inherited;
    mark();
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
    cr_assert_eq(maker.mark.suspect_count, 0);
}

/* What is lost. */

Test(mark, a_lost_block_owns_what_only_it_leads_to)
{
    uintptr_t *direct = block_of(64), *indirect = block_of(48), *last = block_of(16);
    direct[3] = (uintptr_t)indirect;
    indirect[0] = (uintptr_t)last;
    mark();
    assert_leak(&maker, direct, CRN_VERDICT_LOST, true);
    assert_leak(&maker, indirect, CRN_VERDICT_LOST, false);
    assert_leak(&maker, last, CRN_VERDICT_LOST, false);
    cr_assert(group_of(CRN_VERDICT_LOST)->indirect_bytes == 64);
}

Test(mark, the_order_of_addresses_does_not_make_a_block_direct)
{
    uintptr_t *blocks[50];
    for (unsigned i = 0; i < 50; i++)
        blocks[i] = block_of(64);
    for (unsigned i = 1; i < 50; i++)
        blocks[i][0] = (uintptr_t)blocks[i - 1]; /* the last leads to all others */
    mark();
    for (unsigned i = 0; i < 50; i++)
        assert_leak(&maker, blocks[i], CRN_VERDICT_LOST, i == 49);
}

Test(mark, a_pure_cycle_has_exactly_one_owner)
{
    uintptr_t *ring[7], *tail = block_of(64);
    unsigned directs = 0;
    for (unsigned i = 0; i < 7; i++)
        ring[i] = block_of(64);
    for (unsigned i = 0; i < 7; i++)
        ring[i][1] = (uintptr_t)ring[(i + 1) % 7];
    ring[4][2] = (uintptr_t)tail;
    mark();
    for (unsigned i = 0; i < 7; i++) {
        bool is_direct;
        crn_mark_verdict(&maker.mark, (uintptr_t)ring[i], &is_direct);
        directs += is_direct;
    }
    cr_assert_eq(directs, 1);
    assert_leak(&maker, tail, CRN_VERDICT_LOST, false);
}

Test(mark, a_block_that_points_to_itself_owns_itself)
{
    uintptr_t *block = block_of(64);
    block[0] = (uintptr_t)block;
    mark();
    assert_leak(&maker, block, CRN_VERDICT_LOST, true);
}

Test(mark, a_cycle_that_something_lost_leads_to_has_no_owner_of_its_own)
{
    uintptr_t *a = block_of(64), *b = block_of(64), *owner = block_of(64);
    a[0] = (uintptr_t)b;
    b[0] = (uintptr_t)a;
    owner[0] = (uintptr_t)b;
    mark();
    assert_leak(&maker, owner, CRN_VERDICT_LOST, true);
    assert_leak(&maker, a, CRN_VERDICT_LOST, false);
    assert_leak(&maker, b, CRN_VERDICT_LOST, false);
}

Test(mark, a_long_list_does_not_exhaust_anything)
{
    uintptr_t *first = block_of(16), *last = first;
    for (unsigned i = 0; i < 20000; i++) {
        uintptr_t *next = block_of(16);
        last[0] = (uintptr_t)next;
        last = next;
    }
    mark();
    assert_leak(&maker, first, CRN_VERDICT_LOST, true);
    cr_assert(maker.mark.suspect_count == 20001 &&
              group_of(CRN_VERDICT_LOST)->indirect_blocks == 20000);
}

Test(mark, with_an_unseen_thread_nothing_lost_is_proven)
{
    block_of(64);
    maker.snap.unseen_threads = 1;
    mark();
    cr_assert_eq(group_of(CRN_VERDICT_LOST)->confidence, CRN_LIKELY);
}

Test(mark, an_empty_picture_has_no_leaks)
{
    mark();
    cr_assert(maker.mark.suspect_count == 0 && maker.mark.group_count == 0);
}

Test(mark, a_suspect_that_was_freed_or_replaced_is_no_longer_there)
{
    unsigned class_index;
    uintptr_t *block = block_of(64);
    mark();
    uint32_t line = crn_heap_line_draw(&maker.heap.heap);
    const struct crn_suspect *suspect = &maker.mark.suspects[0];
    cr_assert(crn_suspect_is_still_there(&maker.mark, suspect, line));
    struct crn_record *record =
        crn_index_slot(&maker.heap.heap.index, (uintptr_t)block, &class_index);
    crn_record_clear(record);
    cr_assert_not(crn_suspect_is_still_there(&maker.mark, suspect, line));
    maker_record(&maker.heap, (uintptr_t)block, 64, 0);
    cr_assert_not(crn_suspect_is_still_there(&maker.mark, suspect, line));
}

/* Chains. */

static struct crn_chain_step steps[4][CRN_CHAIN_STEPS_MAX];
static unsigned step_counts[4];

Test(mark, a_chain_leads_from_the_root_to_the_dead_stack)
{
    char *stack = stack_make(CRN_CORO_COMPLETED);
    uintptr_t *pool = block_of(64), *row = block_of(64), *global = maker_global(&maker);
    *global = (uintptr_t)pool;
    pool[2] = (uintptr_t)row;
    row[5] = (uintptr_t)stack;
    *word_read(stack) = (uintptr_t)block_of(64);
    mark();
    crn_mark_trace(&maker.mark, (uint32_t[]){0}, 1, steps, step_counts);
    cr_assert_eq(step_counts[0], 3);
    cr_assert(steps[0][0].root == 1 && steps[0][0].block == 0 &&
              steps[0][0].address == (uintptr_t)global);
    cr_assert(steps[0][1].block == (uintptr_t)pool && steps[0][1].address == (uintptr_t)&pool[2]);
    cr_assert(steps[0][2].block == (uintptr_t)row && steps[0][2].address == (uintptr_t)&row[5]);
}

Test(mark, a_chain_goes_through_a_live_coroutine)
{
    char *live = stack_make(CRN_CORO_SUSPENDED), *dead = stack_make(CRN_CORO_COMPLETED);
    *maker_global(&maker) = (uintptr_t)live;
    *word_read(live) = (uintptr_t)dead;
    mark();
    crn_mark_trace(&maker.mark, (uint32_t[]){1}, 1, steps, step_counts);
    cr_assert(step_counts[0] == 2 && steps[0][0].root == 1 && steps[0][1].coro == 1 &&
              steps[0][1].address == (uintptr_t)word_read(live));
}

Test(mark, a_chain_prefers_a_variable_to_a_register)
{
    char *dead = stack_make(CRN_CORO_COMPLETED);
    uintptr_t *registers = maker_memory(&maker, 64);
    registers[3] = (uintptr_t)dead;
    maker_root(&maker, registers, 64, CRN_ROOT_REGISTER, 8);
    *maker_global(&maker) = (uintptr_t)dead;
    mark();
    crn_mark_trace(&maker.mark, (uint32_t[]){0}, 1, steps, step_counts);
    cr_assert(step_counts[0] == 1 && steps[0][0].root == 2);
}

Test(mark, a_dead_stack_that_nothing_leads_to_has_no_chain)
{
    stack_make(CRN_CORO_COMPLETED);
    char *met = stack_make(CRN_CORO_COMPLETED);
    *maker_global(&maker) = (uintptr_t)met;
    mark();
    crn_mark_trace(&maker.mark, (uint32_t[]){0, 1, 1}, 3, steps, step_counts);
    cr_assert(step_counts[0] == 0 && step_counts[1] == 1 && step_counts[2] == 1);
}

Test(mark, a_chain_is_the_shortest_one)
{
    char *dead = stack_make(CRN_CORO_COMPLETED);
    uintptr_t *long_way[5], *short_way = block_of(64);
    for (unsigned i = 0; i < 5; i++)
        long_way[i] = block_of(64);
    for (unsigned i = 0; i + 1 < 5; i++)
        long_way[i][0] = (uintptr_t)long_way[i + 1];
    long_way[4][0] = (uintptr_t)dead;
    short_way[0] = (uintptr_t)dead;
    *maker_global(&maker) = (uintptr_t)long_way[0];
    *maker_global(&maker) = (uintptr_t)short_way;
    mark();
    crn_mark_trace(&maker.mark, (uint32_t[]){0}, 1, steps, step_counts);
    cr_assert(step_counts[0] == 2 && steps[0][1].block == (uintptr_t)short_way);
}
