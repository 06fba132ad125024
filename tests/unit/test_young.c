/*
 * What a forked child has made: found as long as it is little, and not looked for among the rest.
 */
#include "make_heap.h"

static struct maker_heap maker;
static uint64_t line;

static void setup(void)
{
    maker_heap_init(&maker, 4096);
    crn_heap_line_draw(&maker.heap);
    maker_block(&maker, 100); /* the parent's */
    line = crn_heap_line_draw(&maker.heap);
    crn_young_open(&maker.heap.young);
}

static void teardown(void)
{
    maker_heap_fini(&maker);
}

TestSuite(young, .init = setup, .fini = teardown);

static char *child_block(size_t bytes)
{
    char *block = maker_block(&maker, bytes);
    crn_young_note(&maker.heap.young, (uintptr_t)block);
    return block;
}

static struct crn_record *record_of(const char *block)
{
    struct crn_block found;
    cr_assert(crn_index_find(&maker.heap.index, (uintptr_t)block, &found));
    return found.record;
}

static bool any_since(uint64_t birth)
{
    return crn_young_any_since(&maker.heap, birth, 1);
}

Test(young, a_child_that_made_nothing_has_nothing)
{
    cr_assert(!any_since(line));
}

Test(young, a_block_is_there_until_it_is_freed)
{
    child_block(100);
    char *block = child_block(5000);
    crn_record_clear(record_of(block));
    cr_assert(any_since(line));
    crn_record_clear(record_of((char *)maker.heap.young.starts[0]));
    cr_assert(!any_since(line));
}

Test(young, what_was_born_before_a_later_line_is_not_new)
{
    child_block(100);
    uint64_t later = crn_heap_line_draw(&maker.heap);
    cr_assert(any_since(line) && !any_since(later));
    child_block(100);
    cr_assert(any_since(later));
}

Test(young, a_block_outside_the_region_counts)
{
    uintptr_t start = 0x1000;
    struct crn_outside_block row = {
        start, 100, 112, {0, 0, crn_meta(0, maker.heap.birth_now, CRN_RECORD_LIVE)}};
    struct crn_outside_block removed;
    crn_young_note(&maker.heap.young, start);
    cr_assert(!any_since(line));
    cr_assert(crn_outside_add(&maker.heap.outside, row, 1));
    cr_assert(any_since(line));
    cr_assert(crn_outside_remove(&maker.heap.outside, start, &removed, 1));
    cr_assert(!any_since(line));
}

Test(young, too_many_close_the_list)
{
    for (unsigned i = 0; i < CRN_YOUNG_MAX; i++)
        crn_young_note(&maker.heap.young, 0x1000);
    cr_assert(maker.heap.young.is_open);
    crn_young_note(&maker.heap.young, 0x1000);
    cr_assert(!maker.heap.young.is_open);
    crn_young_open(&maker.heap.young);
    cr_assert(maker.heap.young.is_open && !any_since(line));
}
