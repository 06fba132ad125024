/* The table of blocks outside the region: added, found and removed at once, none is lost. */
#include "stress.h"

#include "heap/outside.h"

enum { BLOCKS = 4000, ROUNDS = 5 };

static struct crn_outside outside;

static uintptr_t place_of(unsigned thread, unsigned i)
{
    return 0x10000 + ((uintptr_t)i * STRESS_THREADS + thread) * 64;
}

static void work(unsigned thread)
{
    struct crn_outside_block block;
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < BLOCKS; i++) {
            struct crn_outside_block added = {
                place_of(thread, i), 40, 64, {i + 1, thread, crn_meta(0, 1, CRN_RECORD_LIVE)}};
            STRESS_REQUIRE(crn_outside_add(&outside, added, (int)thread + 1));
        }
        for (unsigned i = 0; i < BLOCKS; i++) {
            STRESS_REQUIRE(
                crn_outside_find(&outside, place_of(thread, i), &block, (int)thread + 1));
            STRESS_REQUIRE(block.record.stack == i + 1 && block.record.coro == thread);
        }
        for (unsigned i = round == ROUNDS - 1 ? BLOCKS / 2 : 0; i < BLOCKS; i++)
            STRESS_REQUIRE(
                crn_outside_remove(&outside, place_of(thread, i), &block, (int)thread + 1));
    }
}

int main(void)
{
    stress_run(work);
    STRESS_REQUIRE(outside.count == STRESS_THREADS * (BLOCKS / 2));
    return 0;
}
