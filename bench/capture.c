/*
 * One capture of an allocation stack that is 30 call frames deep, of which the innermost `argument`
 * frames are others than the last time: `capture 0`, `capture 2`, `capture 10`.  The calls that
 * lead there are measured too, and taken off.
 *
 * The engine is linked in, so this runs without the shim.  Frame pointers are left out, as in any
 * distribution, and frames have many sizes.
 */
#include "bench.h"

#include "stack/unwind.h"

#include <pthread.h>

enum { DEPTH = 30, DIFFERING_MAX = 10 };

static struct crn_tree tree;
static struct crn_walker walker;
static struct crn_memo memo;
static unsigned differing, outermost;
static uint32_t last_node;

typedef void visit(void);
static visit *visitor;

/* As the shim's malloc does it. */
static void capture(void)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    last_node =
        crn_stack_capture(&tree, &walker, &memo, frame[1], (uintptr_t)(frame + 2), frame[0]);
}

static void nothing(void)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    last_node = (uint32_t)frame[1];
}

/* Two ways down, each of ten functions of different frame sizes. */
#define INNER(way, n, below)                              \
    NOINLINE static void inner_##way##_##n(unsigned left) \
    {                                                     \
        char area[8 * ((n) % 5 + 1)], *used = area;       \
        OPAQUE(used);                                     \
        if (left == 0)                                    \
            visitor();                                    \
        else                                              \
            below(left - 1);                              \
        OPAQUE(used);                                     \
    }
#define WAY(way)                    \
    INNER(way, 1, abort_instead)    \
    INNER(way, 2, inner_##way##_1)  \
    INNER(way, 3, inner_##way##_2)  \
    INNER(way, 4, inner_##way##_3)  \
    INNER(way, 5, inner_##way##_4)  \
    INNER(way, 6, inner_##way##_5)  \
    INNER(way, 7, inner_##way##_6)  \
    INNER(way, 8, inner_##way##_7)  \
    INNER(way, 9, inner_##way##_8)  \
    INNER(way, 10, inner_##way##_9) \
    INNER(way, 11, inner_##way##_10)

static void abort_instead(unsigned left)
{
    (void)left;
    abort();
}
WAY(left)
WAY(right)

NOINLINE static void outer_0(size_t count)
{
    static void (*const ways[])(unsigned) = {inner_left_11, inner_right_11};
    for (size_t i = 0; i < count; i++) {
        if (differing == 0)
            visitor();
        else
            ways[i % 2](differing - 1);
    }
}

/* Calls the function below it, from a frame with room for some words. */
#define OUTER(n, below)                             \
    NOINLINE static void outer_##n(size_t count)    \
    {                                               \
        char area[8 * ((n) % 7 + 1)], *used = area; \
        OPAQUE(used);                               \
        outer_##below(count);                       \
        OPAQUE(used);                               \
    }
OUTER(1, 0)
OUTER(2, 1)
OUTER(3, 2)
OUTER(4, 3)
OUTER(5, 4)
OUTER(6, 5)
OUTER(7, 6)
OUTER(8, 7)
OUTER(9, 8)
OUTER(10, 9)
OUTER(11, 10)
OUTER(12, 11)
OUTER(13, 12)
OUTER(14, 13)
OUTER(15, 14)
OUTER(16, 15)
OUTER(17, 16)
OUTER(18, 17)
OUTER(19, 18)
OUTER(20, 19)
OUTER(21, 20)
OUTER(22, 21)
OUTER(23, 22)
OUTER(24, 23)
OUTER(25, 24)
OUTER(26, 25)
OUTER(27, 26)
OUTER(28, 27)
static void (*const outer[])(size_t) = {outer_0,  outer_1,  outer_2,  outer_3,  outer_4,  outer_5,
                                        outer_6,  outer_7,  outer_8,  outer_9,  outer_10, outer_11,
                                        outer_12, outer_13, outer_14, outer_15, outer_16, outer_17,
                                        outer_18, outer_19, outer_20, outer_21, outer_22, outer_23,
                                        outer_24, outer_25, outer_26, outer_27, outer_28};
enum { OUTER_COUNT = sizeof outer / sizeof outer[0] };

static double per_call_ns(visit *what, size_t count)
{
    visitor = what;
    double began = now_ns();
    outer[outermost](count);
    return (now_ns() - began) / (double)count;
}

int main(int argc, char **argv)
{
    enum { ROUNDS = 9, COUNT = 500000 };
    double took[ROUNDS];
    pthread_attr_t attributes;
    void *start;
    size_t bytes;
    REQUIRE(argc == 2 && (differing = (unsigned)atoi(argv[1])) <= DIFFERING_MAX);
    REQUIRE(crn_tree_init(&tree, (size_t)1 << 32) == CRN_OK);
    REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
    pthread_attr_getstack(&attributes, &start, &bytes);
    crn_memo_reset(&memo, (struct crn_stack_bounds){(uintptr_t)start, (uintptr_t)start + bytes});

    /* From as far out as it takes. */
    for (; outermost + 1 < OUTER_COUNT; outermost++) {
        per_call_ns(capture, 4);
        if (crn_tree_node(&tree, last_node)->depth >= DEPTH)
            break;
    }
    REQUIRE(crn_tree_node(&tree, last_node)->depth == DEPTH);
    for (int i = 0; i < ROUNDS; i++) {
        double one = -per_call_ns(nothing, COUNT) + per_call_ns(capture, COUNT);
        int at = i;
        for (; at > 0 && took[at - 1] > one; at--)
            took[at] = took[at - 1];
        took[at] = one;
    }
    printf("capture:%u %.2f ns\n", differing, took[ROUNDS / 2]);
    return 0;
}
