/*
 * Zones and links: what of a coroutine's stack is its owner's, and which words lead nowhere.
 *
 * A zone lies between the low end of a stack and sp.  Its first pages, as far as they were touched
 * without a gap, count while the coroutine lives.
 */
#include "make_snap.h"

#include <criterion/criterion.h>

enum { STACK_PAGES = 16, SP_PAGE = 12 };

/* A stack of pages that nobody touched yet, and who is parked on it. */
struct parked {
    char *stack;
    uint32_t coro;
};

static struct parked maker_parked(struct maker_snap *maker, bool has_zone)
{
    size_t bytes = STACK_PAGES * CRN_PAGE_BYTES;
    char *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(stack != MAP_FAILED);
    cr_assert(madvise(stack, bytes, MADV_NOHUGEPAGE) == 0);
    uint32_t coro = maker_coro(maker, CRN_CORO_SUSPENDED, stack, bytes,
                               stack + SP_PAGE * CRN_PAGE_BYTES);
    maker->coros[coro].mechanism = CRN_MECHANISM_SWITCH;
    maker->coros[coro].zone_start = has_zone ? (uintptr_t)stack : 0;
    maker->coros[coro].zone_end = has_zone ? (uintptr_t)stack + SP_PAGE * CRN_PAGE_BYTES : 0;
    return (struct parked){stack, coro};
}

static uintptr_t *word_of(struct parked parked, unsigned page, unsigned word)
{
    return (uintptr_t *)(parked.stack + page * CRN_PAGE_BYTES) + word;
}

static struct maker_snap maker;

static void setup(void)
{
    maker_snap_init(&maker);
}

static void teardown(void)
{
    maker_snap_fini(&maker);
}

TestSuite(zones, .init = setup, .fini = teardown);
TestSuite(links, .init = setup, .fini = teardown);

Test(zones, data_at_the_low_end_of_a_live_coroutines_stack_is_live)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, 0, 5) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
}

Test(zones, a_zone_reaches_over_all_pages_that_were_touched_from_its_start)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, 0, 0) = *word_of(parked, 1, 0) = 1;
    *word_of(parked, 2, 511) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
}

Test(zones, what_popped_frames_left_behind_a_gap_holds_nothing)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, 0, 0) = 1;
    *word_of(parked, SP_PAGE - 1, 3) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LOST);
}

Test(zones, a_zone_whose_first_page_was_never_touched_is_empty)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, 1, 0) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LOST);
}

Test(zones, a_stack_without_a_zone_holds_nothing_below_sp)
{
    struct parked parked = maker_parked(&maker, false);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, 0, 5) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LOST);
}

Test(zones, the_zone_of_a_coroutine_that_nobody_reaches_holds_nothing_alive)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *below = maker_block(&maker.heap, 64), *above = maker_block(&maker.heap, 64);
    *word_of(parked, 0, 5) = (uintptr_t)below;
    *word_of(parked, SP_PAGE, 5) = (uintptr_t)above;
    maker_mark(&maker);
    assert_verdict(&maker, below, CRN_VERDICT_LOST);
    assert_leak(&maker, above, CRN_VERDICT_ABANDONED, true);
}

Test(zones, an_address_in_the_zone_is_a_handle)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    *word_of(parked, SP_PAGE, 5) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, 0, 8);
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
}

Test(zones, a_stack_in_anothers_zone_is_not_read_as_data)
{
    struct parked parked = maker_parked(&maker, true);
    uintptr_t *block = maker_block(&maker.heap, 64);
    /* The upper stack's zone starts where the frames of the lower one, on the same pages, begin. */
    maker.snap.opaques[0].start = (uintptr_t)word_of(parked, 2, 0);
    maker.coros[parked.coro].stack_start = (uintptr_t)word_of(parked, 2, 0);
    maker_coro(&maker, CRN_CORO_SUSPENDED, parked.stack, 2 * CRN_PAGE_BYTES,
               word_of(parked, 1, 0));
    *word_of(parked, 0, 0) = 1;
    *word_of(parked, 1, 9) = (uintptr_t)block;
    *maker_global(&maker) = (uintptr_t)word_of(parked, SP_PAGE, 0);
    maker_mark(&maker);
    assert_leak(&maker, block, CRN_VERDICT_ABANDONED, true);
}

Test(links, a_word_that_is_a_link_leads_neither_to_a_coroutine_nor_to_its_block)
{
    char *stack = maker_block(&maker.heap, 8192);
    uintptr_t *block = maker_block(&maker.heap, 64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 8192, stack + 4096);
    *(uintptr_t *)(stack + 6000) = (uintptr_t)block;
    uintptr_t link = (uintptr_t)stack + 7000;
    maker.snap.links = &link;
    maker.snap.link_count = 1;
    *maker_global(&maker) = link;
    maker_mark(&maker);
    assert_leak(&maker, block, CRN_VERDICT_ABANDONED, true);
    assert_leak(&maker, stack, CRN_VERDICT_ABANDONED, true);
}

Test(links, a_word_beside_a_link_is_a_handle)
{
    char *stack = maker_block(&maker.heap, 8192);
    uintptr_t *block = maker_block(&maker.heap, 64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 8192, stack + 4096);
    *(uintptr_t *)(stack + 6000) = (uintptr_t)block;
    uintptr_t links[] = {(uintptr_t)stack + 6992, (uintptr_t)stack + 7000, (uintptr_t)stack + 7016};
    maker.snap.links = links;
    maker.snap.link_count = CRN_COUNT_OF(links);
    *maker_global(&maker) = links[1] + 8;
    maker_mark(&maker);
    assert_verdict(&maker, block, CRN_VERDICT_LIVE);
}

Test(links, the_lists_own_root_may_stand_outside_the_heap)
{
    char *stack = maker_memory(&maker, 8192);
    uintptr_t *block = maker_block(&maker.heap, 64);
    maker_coro(&maker, CRN_CORO_SUSPENDED, stack, 8192, stack + 4096);
    *(uintptr_t *)(stack + 6000) = (uintptr_t)block;
    uintptr_t link = (uintptr_t)stack + 7000;
    maker.snap.links = &link;
    maker.snap.link_count = 1;
    *maker_global(&maker) = link;
    maker_mark(&maker);
    assert_leak(&maker, block, CRN_VERDICT_ABANDONED, true);
}
