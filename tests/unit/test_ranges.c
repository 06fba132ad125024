/*
 * The ordered map of ranges against a plain array that is looked through from end to end.
 */
#include "make_heap.h"
#include "base/ranges.h"

static struct crn_ranges ranges;

static void setup(void)
{
    cr_assert(crn_ranges_init(&ranges, 100000));
}

TestSuite(ranges, .init = setup);

Test(ranges, an_empty_map_finds_nothing)
{
    cr_assert(crn_ranges_find(&ranges, 0) == NULL && crn_ranges_find(&ranges, 4096) == NULL);
    cr_assert(crn_ranges_first_above(&ranges, 0) == NULL);
    crn_ranges_remove(&ranges, 4096);
    cr_assert_eq(ranges.item_count, 0);
}

Test(ranges, a_range_holds_its_start_and_not_its_end)
{
    cr_assert(crn_ranges_insert(&ranges, 100, 200, 7));
    cr_assert(crn_ranges_find(&ranges, 99) == NULL && crn_ranges_find(&ranges, 200) == NULL);
    cr_assert(crn_ranges_find(&ranges, 100)->value == 7);
    cr_assert(crn_ranges_find(&ranges, 199)->value == 7);
}

Test(ranges, neighbours_that_touch_stay_apart)
{
    crn_ranges_insert(&ranges, 200, 300, 2);
    crn_ranges_insert(&ranges, 100, 200, 1);
    cr_assert(crn_ranges_find(&ranges, 199)->value == 1);
    cr_assert(crn_ranges_find(&ranges, 200)->value == 2);
}

Test(ranges, only_the_start_of_a_range_removes_it)
{
    crn_ranges_insert(&ranges, 100, 200, 1);
    crn_ranges_remove(&ranges, 150);
    cr_assert_not_null(crn_ranges_find(&ranges, 150));
    crn_ranges_remove(&ranges, 100);
    cr_assert(crn_ranges_find(&ranges, 150) == NULL);
}

/* The plain array: slot i is the range from i * 100 + lead[i], if width[i] is not 0. */
enum { SLOTS = 3000 };
static unsigned lead[SLOTS], width[SLOTS];

static bool slot_holds(size_t slot, uintptr_t address)
{
    uintptr_t start = slot * 100 + lead[slot];
    return width[slot] != 0 && address >= start && address < start + width[slot];
}

static void compare_at(uintptr_t address)
{
    const struct crn_ranges_item *found = crn_ranges_find(&ranges, address);
    const struct crn_ranges_item *above = crn_ranges_first_above(&ranges, address);
    size_t slot = address / 100, next = slot;
    if (slot < SLOTS && slot_holds(slot, address))
        cr_assert(found != NULL && found->value == slot);
    else
        cr_assert(found == NULL);
    while (next < SLOTS && (width[next] == 0 || next * 100 + lead[next] + width[next] <= address))
        next++;
    if (next < SLOTS)
        cr_assert(above != NULL && above->value == next);
    else
        cr_assert(above == NULL);
}

static void slot_change(struct maker_random *random, size_t slot)
{
    if (width[slot] != 0) {
        crn_ranges_remove(&ranges, slot * 100 + lead[slot]);
        width[slot] = 0;
        return;
    }
    lead[slot] = (unsigned)maker_below(random, 50);
    width[slot] = 1 + (unsigned)maker_below(random, 100 - lead[slot]);
    uintptr_t start = slot * 100 + lead[slot];
    cr_assert(crn_ranges_insert(&ranges, start, start + width[slot], slot));
}

static void compare_all(void)
{
    size_t slot = 0;
    uintptr_t at = 0;
    for (const struct crn_ranges_item *item; (item = crn_ranges_first_above(&ranges, at)) != NULL;
         at = item->end, slot++) {
        while (slot < SLOTS && width[slot] == 0)
            slot++;
        cr_assert(slot < SLOTS && item->value == slot && item->start == slot * 100 + lead[slot] &&
                  item->end == item->start + width[slot]);
    }
    while (slot < SLOTS && width[slot] == 0)
        slot++;
    cr_assert_eq(slot, SLOTS);
}

Test(ranges, random_changes_agree_with_a_plain_array)
{
    struct maker_random random = maker_random_from(11);
    for (unsigned round = 0; round < 100000; round++) {
        slot_change(&random, maker_below(&random, SLOTS));
        for (unsigned i = 0; i < 4; i++)
            compare_at(maker_below(&random, SLOTS * 100 + 200));
        if (round % 5000 == 0)
            compare_all();
    }
}

Test(ranges, filling_and_emptying_in_any_order_leaves_nothing)
{
    struct maker_random random = maker_random_from(12);
    for (unsigned round = 0; round < 6; round++) {
        for (size_t i = 0; i < SLOTS; i++) /* ascending, descending, scattered */
            slot_change(&random, round % 3 == 0   ? i
                                 : round % 3 == 1 ? SLOTS - 1 - i
                                                  : i * 7 % SLOTS);
        compare_all();
        cr_assert_eq(ranges.item_count, SLOTS);
        for (size_t i = 0; i < SLOTS; i++)
            slot_change(&random, round % 2 == 0 ? i : i * 11 % SLOTS);
        cr_assert(ranges.item_count == 0 && ranges.chunk_count == 0);
        cr_assert(crn_ranges_first_above(&ranges, 0) == NULL);
    }
    cr_assert(ranges.chunks_made < 100, "chunks are used again");
}

Test(ranges, as_many_as_were_asked_for_fit_in_any_order)
{
    struct crn_ranges small;
    for (unsigned order = 0; order < 2; order++) {
        cr_assert(crn_ranges_init(&small, 20000));
        for (uintptr_t i = 0; i < 20000; i++) {
            uintptr_t start = (order == 0 ? i : 20000 - i) * 16 + 16;
            cr_assert(crn_ranges_insert(&small, start, start + 16, i), "range %zu", i);
        }
        cr_assert_eq(small.item_count, 20000);
    }
}

Test(ranges, when_there_is_no_room_inserting_says_so_and_the_rest_stays)
{
    struct crn_ranges small;
    uintptr_t i = 0;
    cr_assert(crn_ranges_init(&small, 1));
    while (i < 100000 && crn_ranges_insert(&small, i * 16, i * 16 + 16, i))
        i++;
    cr_assert(i < 100000);
    cr_assert_eq(small.item_count, i);
    for (uintptr_t k = 0; k < i; k++)
        cr_assert(crn_ranges_find(&small, k * 16 + 5)->value == k);
    crn_ranges_remove(&small, 0);
    cr_assert(crn_ranges_find(&small, 5) == NULL);
}
