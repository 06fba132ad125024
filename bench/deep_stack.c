/*
 * A malloc/free pair 30 calls deep, where the innermost two frames differ from one pair to the
 * next: the price of an allocation stack.  28 functions of different frame sizes lead to a loop
 * that takes one of four ways of two calls.  Frame pointers are left out, as in any distribution.
 */
#include "bench.h"

#define ALLOCATOR(n)                               \
    NOINLINE static void *allocate##n(size_t size) \
    {                                              \
        void *block = malloc(size);                \
        OPAQUE(block);                             \
        return block;                              \
    }
#define WAY(n)                                  \
    ALLOCATOR(n)                                \
    NOINLINE static void way##n(void)           \
    {                                           \
        void *block = allocate##n(32 + 16 * n); \
        free(block);                            \
    }
WAY(0)
WAY(1)
WAY(2)
WAY(3)

NOINLINE static void frame0(size_t count)
{
    static void (*const ways[])(void) = {way0, way1, way2, way3};
    static uint64_t dice = 88172645463325252u;
    for (size_t i = 0; i < count; i++)
        ways[roll(&dice) % 4]();
}

/* Calls the function below it, from a frame with room for n words. */
#define FRAME(n, below)                         \
    NOINLINE static void frame##n(size_t count) \
    {                                           \
        char area[8 * (n)], *used = area;       \
        OPAQUE(used);                           \
        frame##below(count);                    \
        OPAQUE(used);                           \
    }
FRAME(1, 0)
FRAME(2, 1)
FRAME(3, 2)
FRAME(4, 3)
FRAME(5, 4)
FRAME(6, 5)
FRAME(7, 6)
FRAME(8, 7)
FRAME(9, 8)
FRAME(10, 9)
FRAME(11, 10)
FRAME(12, 11)
FRAME(13, 12)
FRAME(14, 13)
FRAME(15, 14)
FRAME(16, 15)
FRAME(17, 16)
FRAME(18, 17)
FRAME(19, 18)
FRAME(20, 19)
FRAME(21, 20)
FRAME(22, 21)
FRAME(23, 22)
FRAME(24, 23)
FRAME(25, 24)

int main(void)
{
    measure("deep_stack", frame25, 1000000, 2000000);
    return 0;
}
