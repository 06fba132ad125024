/*
 * Blocks outside the region: a table that grows, shrinks and keeps every row findable.
 */
#include "make_heap.h"
#include "heap/outside.h"

static struct crn_outside outside;
static struct crn_outside_block found;

static bool add(uintptr_t start, size_t bytes)
{
    struct crn_record record = {(uint32_t)(start >> 4), 0, crn_meta(0, 1, CRN_RECORD_LIVE)};
    struct crn_outside_block block = {start, bytes, crn_align_up(bytes, 16), record};
    return crn_outside_add(&outside, block, 1);
}

Test(outside, an_empty_table_finds_and_removes_nothing)
{
    cr_assert_not(outside.used);
    cr_assert_not(crn_outside_find(&outside, 4096, &found, 1));
    cr_assert_not(crn_outside_remove(&outside, 4096, &found, 1));
}

Test(outside, a_block_is_found_by_its_start_only)
{
    cr_assert(add(0x10000, 100) && outside.used);
    cr_assert(crn_outside_find(&outside, 0x10000, &found, 1));
    cr_assert(found.start == 0x10000 && found.usable == 112 && found.size == 100 &&
              found.record.stack == 0x1000);
    cr_assert_not(crn_outside_find(&outside, 0x10010, &found, 1));
}

Test(outside, a_block_may_be_larger_than_any_class)
{
    const size_t bytes = (size_t)3 << 39;
    cr_assert(add((uintptr_t)1 << 44, bytes));
    cr_assert(crn_outside_find(&outside, (uintptr_t)1 << 44, &found, 1));
    cr_assert(found.size == bytes && found.usable == bytes);
}

Test(outside, a_removed_block_is_handed_back_and_gone)
{
    add(0x10000, 100);
    cr_assert(crn_outside_remove(&outside, 0x10000, &found, 1) && found.usable == 112);
    cr_assert_not(crn_outside_find(&outside, 0x10000, &found, 1));
    cr_assert_not(crn_outside_remove(&outside, 0x10000, &found, 1));
    cr_assert_eq(outside.count, 0);
}

Test(outside, adding_again_replaces)
{
    add(0x10000, 100);
    add(0x10000, 200);
    cr_assert(crn_outside_find(&outside, 0x10000, &found, 1));
    cr_assert(found.size == 200 && outside.count == 1);
}

Test(outside, a_row_is_described_anew_only_where_it_is)
{
    add(0x10000, 100);
    struct crn_outside_block block = {0x10000, 200, 208, {9, 0, crn_meta(0, 1, CRN_RECORD_LIVE)}};
    cr_assert(crn_outside_update(&outside, block, 1));
    cr_assert(crn_outside_find(&outside, 0x10000, &found, 1));
    cr_assert(found.size == 200 && found.usable == 208 && found.record.stack == 9 &&
              outside.count == 1);
    block.start = 0x20000;
    cr_assert_not(crn_outside_update(&outside, block, 1));
    cr_assert_not(crn_outside_find(&outside, 0x20000, &found, 1));
}

Test(outside, random_blocks_come_and_go_and_none_is_lost)
{
    enum { STARTS = 5000, ROUNDS = 200000 };
    static bool is_there[STARTS];
    struct maker_random random = maker_random_from(5);
    size_t count = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        size_t which = maker_below(&random, STARTS);
        uintptr_t start = 0x7f0000000000 + which * (which % 3 == 0 ? 16 : 4096 * 7);
        if (which % 3 == 0)
            start += (uintptr_t)1 << 40; /* so that no two are equal */
        cr_assert(crn_outside_find(&outside, start, &found, 1) == is_there[which]);
        if (is_there[which])
            cr_assert(crn_outside_remove(&outside, start, &found, 1) && found.start == start);
        else
            cr_assert(add(start, 64));
        is_there[which] = !is_there[which];
        count += is_there[which] ? 1 : (size_t)-1;
        cr_assert_eq(outside.count, count);
    }
    cr_assert(outside.count * 2 <= outside.capacity);
}

Test(outside, after_a_fork_the_lock_is_free)
{
    add(0x10000, 100);
    crn_lock_acquire(&outside.lock, 77);
    crn_outside_after_fork(&outside);
    cr_assert(crn_outside_find(&outside, 0x10000, &found, 1));
}
