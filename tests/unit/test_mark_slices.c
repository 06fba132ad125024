/*
 * Pointers at odd offsets: copies of stacks hold, anything else makes a verdict unsure.
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

TestSuite(slices, .init = setup, .fini = teardown);

static char *block_of(size_t bytes)
{
    return (char *)maker_block(&maker.heap, bytes);
}

static char *live_block(size_t bytes)
{
    char *block = block_of(bytes);
    *maker_global(&maker) = (uintptr_t)block;
    return block;
}

static void put(char *at, const void *address)
{
    memcpy(at, &address, sizeof address);
}

/* Makes an address that lies in the code of the program. */
static const void *code_address(void)
{
    static struct crn_range range;
    range.start = (uintptr_t)maker_memory(&maker, 64);
    range.end = range.start + 64;
    maker.snap.code.ranges = &range;
    maker.snap.code.count = 1;
    return (const void *)(range.start + 17);
}

/* How sure the verdict about the only leak is. */
static enum crn_confidence confidence(void)
{
    cr_assert_eq(maker.mark.group_count, 1);
    return (enum crn_confidence)maker.mark.groups[0].confidence;
}

Test(slices, a_copy_of_a_stack_holds_at_every_offset)
{
    const void *code = code_address();
    for (unsigned offset = 0; offset < 8; offset++) {
        char *copy = live_block(400), *held = block_of(64), *behind = block_of(64);
        put(copy + 120 + offset, held);
        put(copy + 320 + offset, code);
        put(held + 8, behind);
    }
    maker_mark_counted(&maker);
    cr_assert_eq(maker.mark.suspect_count, 0);
}

Test(slices, a_word_that_points_into_a_stack_shows_a_copy_too)
{
    char *stack = maker_memory(&maker, 4096), *copy = live_block(400), *held = block_of(64);
    maker_root(&maker, stack, 4096, CRN_ROOT_STACK, 4);
    put(copy + 11, held);
    put(copy + 19, stack + 100);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(slices, a_copy_outside_the_heap_holds)
{
    const void *code = code_address();
    char *memory = maker_memory(&maker, 256), *held = block_of(64);
    maker_root(&maker, memory, 256, CRN_ROOT_MAPPING, 8);
    put(memory + 101, held);
    put(memory + 45, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(slices, what_a_copy_leads_to_is_read_at_every_offset)
{
    const void *code = code_address();
    char *first = live_block(400), *second = block_of(400), *held = block_of(64);
    put(first + 3, second);
    put(first + 11, code);
    put(second + 5, held);
    put(second + 13, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(slices, a_copy_leads_to_the_coroutine_whose_handle_it_holds)
{
    const void *code = code_address();
    char *stack = maker_memory(&maker, 4096), *held = block_of(64), *copy = live_block(400);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    put(stack + 3000, held);
    put(copy + 7, stack + 2048);
    put(copy + 15, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LIVE);
}

Test(slices, a_pointer_at_an_odd_offset_makes_a_loss_likely)
{
    for (unsigned offset = 1; offset < 8; offset++)
        put(live_block(64) + offset, block_of(64));
    maker_mark_counted(&maker);
    cr_assert_eq(maker.mark.suspect_count, 7);
    cr_assert_eq(confidence(), CRN_LIKELY);
}

Test(slices, so_does_one_that_ends_with_its_memory)
{
    char *memory = maker_memory(&maker, 25), *held = block_of(64);
    maker_root(&maker, memory, 25, CRN_ROOT_GLOBAL, 8);
    put(memory + 17, held);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(confidence(), CRN_LIKELY);
}

Test(slices, what_a_likely_loss_leads_to_is_not_proven)
{
    char *lost = block_of(64), *behind = block_of(64), *other = block_of(64);
    put(live_block(64) + 1, behind);
    put(lost, behind);
    put(behind, other);
    maker_mark_counted(&maker);
    assert_leak(&maker, lost, CRN_VERDICT_LOST, true);
    assert_leak(&maker, behind, CRN_VERDICT_LOST, true);
    assert_leak(&maker, other, CRN_VERDICT_LOST, false);
    cr_assert_eq(maker.mark.group_count, 2);
}

Test(slices, a_coroutine_with_a_handle_at_an_odd_offset_is_likely_abandoned)
{
    char *stack = maker_memory(&maker, 4096), *held = block_of(64);
    char *context = maker_memory(&maker, 256);
    uint32_t coro = maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 4096, stack + 2048);
    maker_opaque(&maker, context, 256, coro, true, true);
    put(stack + 3000, held);
    put(live_block(64) + 9, context);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_ABANDONED);
    cr_assert_eq(confidence(), CRN_LIKELY);
}

Test(slices, the_two_top_bytes_of_an_address_are_zero)
{
    const void *code = code_address();
    char *copy = live_block(64), *held = block_of(64);
    put(copy + 1, (const void *)((uintptr_t)held | (uintptr_t)1 << 48));
    put(copy + 25, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(confidence(), CRN_PROVEN);
}

Test(slices, dead_memory_holds_nothing)
{
    const void *code = code_address();
    char *lost = block_of(64), *held = block_of(64);
    put(lost + 1, held);
    put(lost + 9, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(confidence(), CRN_PROVEN);
}

Test(slices, whoever_was_told_that_all_pointers_are_aligned_does_not_look)
{
    const void *code = code_address();
    char *copy = live_block(64), *held = block_of(64);
    maker.snap.is_aligned_only = true;
    put(copy + 1, held);
    put(copy + 9, code);
    maker_mark_counted(&maker);
    assert_verdict(&maker, held, CRN_VERDICT_LOST);
    cr_assert_eq(confidence(), CRN_PROVEN);
}

Test(slices, a_block_that_was_inherited_is_not_looked_for)
{
    char *held = block_of(64);
    put(live_block(64) + 1, held);
    maker.snap.birth_from = 2;
    maker_mark_counted(&maker);
    cr_assert(maker.mark.doubted == NULL && maker.mark.suspect_count == 0);
}
