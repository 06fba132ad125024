/*
 * Small-block churn five calls deep: a table of 64 Ki blocks of 16 to 512 bytes, of which a random
 * one is read, freed and made anew in every step.  Which functions lie between the loop and malloc
 * depends on what the block is for:
 *
 *     churn --> serve_0..3 --> handle_0..3 --> compose_0..3 --> block_make --> malloc
 *
 * so the 64 paths mix at random, and about 17 MB are alive.
 */
#include "workload.h"

enum { SLOTS = 1 << 16, SMALLEST = 16, LARGEST = 512, STEPS = 6000000 };

struct slot {
    void *block;
    size_t bytes;
};
static struct slot slots[SLOTS];
static uint64_t dice = 88172645463325252u;
static uint64_t sum;

NOINLINE static void block_make(struct slot *slot, uint64_t seed)
{
    slot->block = malloc(slot->bytes);
    REQUIRE(slot->block != NULL);
    block_fill(slot->block, slot->bytes, seed);
}

typedef void layer(struct slot *slot, uint64_t seed);

/* A function of one layer; what it does after its call keeps it from being a jump. */
#define LAYER(name, at, next)                                       \
    NOINLINE static void name##at(struct slot *slot, uint64_t seed) \
    {                                                               \
        next;                                                       \
        sum += slot->bytes ^ (at);                                  \
    }
#define LAYERS(name, next) \
    LAYER(name, 0, next)   \
    LAYER(name, 1, next)   \
    LAYER(name, 2, next)   \
    LAYER(name, 3, next) static layer *const name[] = {name##0, name##1, name##2, name##3};

LAYERS(compose_, block_make(slot, seed))
LAYERS(handle_, compose_[seed & 3](slot, seed))
LAYERS(serve_, handle_[seed >> 2 & 3](slot, seed))

NOINLINE static void churn(size_t steps)
{
    for (size_t i = 0; i < steps; i++) {
        struct slot *slot = &slots[roll_below(&dice, SLOTS)];
        if (slot->block != NULL)
            sum += block_sum(slot->block, slot->bytes);
        free(slot->block);
        slot->bytes = SMALLEST + roll_below(&dice, LARGEST - SMALLEST + 1);
        uint64_t seed = roll(&dice);
        serve_[seed >> 4 & 3](slot, seed);
    }
}

int main(int argc, char **argv)
{
    churn(scaled(argc, argv, STEPS));
    sum_print("churn5", sum);
    return 0;
}
