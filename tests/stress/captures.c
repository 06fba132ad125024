/*
 * The unwinder: threads capture stacks of every shape, each with a memo and a walker of its own,
 * while the rules are flushed under them.  A stack is always the one that a walk from nothing
 * finds.
 */
#include "stress.h"

#include "stack/rules.h"
#include "stack/unwind.h"

#include <string.h>

enum { PATHS = 1500, DEPTH = 14 };

struct walk {
    struct crn_memo memo;
    struct crn_walker walker;
    struct crn_stack_bounds bounds;
    uint64_t random;
    unsigned compared;
};

static void bounds_get(struct crn_stack_bounds *bounds)
{
    pthread_attr_t attributes;
    void *start;
    size_t bytes;
    STRESS_REQUIRE(pthread_getattr_np(pthread_self(), &attributes) == 0);
    STRESS_REQUIRE(pthread_attr_getstack(&attributes, &start, &bytes) == 0);
    pthread_attr_destroy(&attributes);
    *bounds = (struct crn_stack_bounds){(uintptr_t)start, (uintptr_t)start + bytes};
}

static void same_frames(uint32_t a, uint32_t b)
{
    while (a != 0 && b != 0 && a != b) {
        STRESS_REQUIRE(crn_tree_node(&crn_tree, a)->pc == crn_tree_node(&crn_tree, b)->pc);
        a = crn_tree_node(&crn_tree, a)->parent;
        b = crn_tree_node(&crn_tree, b)->parent;
    }
    STRESS_REQUIRE(a == b);
}

__attribute__((noinline)) static void capture(struct walk *walk)
{
    const uintptr_t *frame = __builtin_frame_address(0);
    uintptr_t sp = (uintptr_t)(frame + 2);
    uint32_t node =
        crn_stack_capture(&crn_tree, &walk->walker, &walk->memo, frame[1], sp, frame[0]);
    STRESS_REQUIRE(node != 0);
    if (stress_random(&walk->random, 4) == 0) {
        struct crn_memo memo = {.bounds = walk->bounds};
        struct crn_walker walker = {.epoch = 0};
        same_frames(node, crn_stack_capture(&crn_tree, &walker, &memo, frame[1], sp, frame[0]));
        crn_memo_fini(&memo);
        crn_walker_fini(&walker);
        walk->compared++;
    }
}

static void go_on(struct walk *walk, unsigned depth);

__attribute__((noinline)) static void with_array(struct walk *walk, unsigned depth)
{
    volatile char array[1000];
    array[depth] = 1;
    go_on(walk, depth);
    array[depth]++;
}

__attribute__((noinline)) static void with_alloca(struct walk *walk, unsigned depth)
{
    volatile char *array = __builtin_alloca(16 + 8 * depth);
    array[0] = 1;
    go_on(walk, depth);
    array[0] = 2;
}

__attribute__((noinline)) static void go_on(struct walk *walk, unsigned depth)
{
    if (stress_random(&walk->random, 3) == 0)
        capture(walk);
    if (depth == 0)
        return;
    if (stress_random(&walk->random, 2) != 0)
        with_array(walk, depth - 1);
    else
        with_alloca(walk, depth - 1);
    __asm__ volatile("");
}

static void work(unsigned thread)
{
    struct walk *walk = calloc(1, sizeof *walk);
    bounds_get(&walk->bounds);
    walk->random = thread;
    crn_memo_reset(&walk->memo, walk->bounds);
    for (unsigned i = 0; i < PATHS; i++) {
        go_on(walk, DEPTH);
        if (thread == 0 && i % 100 == 0)
            crn_rules_flush();
    }
    STRESS_REQUIRE(walk->compared > PATHS / 4);
    crn_memo_fini(&walk->memo);
    crn_walker_fini(&walk->walker);
    free(walk);
}

int main(void)
{
    STRESS_REQUIRE(crn_tree_init(&crn_tree, (size_t)1 << 30) == CRN_OK);
    stress_run(work);
    return 0;
}
