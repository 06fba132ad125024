/*
 * A malloc/free pair in random churn: 64 Ki slots, blocks of 16 to 1024 bytes, about 34 MB alive.
 * The blocks themselves are not touched, so the pair is all there is to see.
 */
#include "bench.h"

enum { SLOTS = 1 << 16, SMALLEST = 16, LARGEST = 1024 };

static void *slots[SLOTS];
static uint64_t dice = 88172645463325252u;

static void churn(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t at = roll_below(&dice, SLOTS);
        free(slots[at]);
        slots[at] = malloc(SMALLEST + roll_below(&dice, LARGEST - SMALLEST + 1));
    }
}

int main(void)
{
    measure("churn", churn, 10 * SLOTS, 1000000);
    return 0;
}
