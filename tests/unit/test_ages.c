/*
 * How old the blocks of a leak, or coroutines alike, are.
 */
#include "make_heap.h"
#include "base/sys.h"
#include "check/ages.h"

static struct maker_heap maker;
static struct crn_heap *const heap = &maker.heap;

static const uint64_t SECOND_NS = 1000000000;

static void setup(void)
{
    maker_heap_init(&maker, 4096);
    heap->started_ns = crn_now_ns();
}

static void teardown(void)
{
    maker_heap_fini(&maker);
}

TestSuite(ages, .init = setup, .fini = teardown);

static uint64_t born_after(uint64_t seconds)
{
    heap->started_ns -= seconds * SECOND_NS;
    crn_births_tick(heap);
    return heap->birth_now;
}

static bool is_about(uint64_t ns, uint64_t seconds)
{
    return ns + SECOND_NS > seconds * SECOND_NS && ns < (seconds + 1) * SECOND_NS;
}

Test(ages, the_oldest_the_median_and_the_youngest)
{
    struct crn_ages ages = {0};
    uint64_t births[5];
    for (unsigned i = 0; i < 5; i++) {
        births[i] = born_after(100);
        born_after(2); /* its time is over */
    }
    static const unsigned order[] = {3, 0, 4, 1, 2};
    for (unsigned i = 0; i < 5; i++)
        crn_ages_note(&ages, births[order[i]]);
    born_after(98);
    struct crn_record_ages got = crn_ages_get(&ages, heap);
    cr_assert(is_about(got.oldest_ns, 507), "%llu", (unsigned long long)got.oldest_ns);
    cr_assert(is_about(got.median_ns, 303), "%llu", (unsigned long long)got.median_ns);
    cr_assert(is_about(got.youngest_ns, 99), "%llu", (unsigned long long)got.youngest_ns);
}

Test(ages, of_many_blocks_some_are_asked)
{
    struct crn_ages ages = {0};
    for (unsigned i = 0; i < 300; i++)
        crn_ages_note(&ages, born_after(10));
    struct crn_record_ages got = crn_ages_get(&ages, heap);
    cr_assert(got.oldest_ns / SECOND_NS > 2970 && got.youngest_ns < 10 * SECOND_NS);
    cr_assert(got.median_ns / SECOND_NS > 300 && got.median_ns / SECOND_NS < 2700);
}

Test(ages, of_none_nothing_is_known)
{
    struct crn_ages ages = {0};
    struct crn_record_ages got = crn_ages_get(&ages, heap);
    cr_assert(got.oldest_ns == UINT64_MAX && got.median_ns == UINT64_MAX &&
              got.youngest_ns == UINT64_MAX);
}
