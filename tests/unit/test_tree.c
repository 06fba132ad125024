/*
 * The calling-context tree: a stack is one number, whoever sees it and whenever.
 */
#include "make_heap.h"
#include "stack/tree.h"

#include <pthread.h>

static struct crn_tree tree;

static void setup(void)
{
    cr_assert(crn_tree_init(&tree, (size_t)1 << 32) == CRN_OK);
}

TestSuite(tree, .init = setup);

Test(tree, the_same_call_is_the_same_node)
{
    uint32_t main_ = crn_tree_intern(&tree, 0, 0x1000);
    uint32_t callee = crn_tree_intern(&tree, main_, 0x2000);
    cr_assert(main_ != 0 && callee != 0 && main_ != callee);
    cr_assert_eq(crn_tree_intern(&tree, 0, 0x1000), main_);
    cr_assert_eq(crn_tree_intern(&tree, main_, 0x2000), callee);
    cr_assert_eq(tree.node_count, 3);
}

Test(tree, the_same_address_under_another_caller_is_another_node)
{
    uint32_t a = crn_tree_intern(&tree, 0, 0x1000), b = crn_tree_intern(&tree, 0, 0x1001);
    cr_assert(crn_tree_intern(&tree, a, 0x2000) != crn_tree_intern(&tree, b, 0x2000));
}

Test(tree, a_node_knows_its_caller_and_its_depth)
{
    uint32_t node = 0;
    for (unsigned depth = 1; depth <= 100; depth++) {
        uint32_t caller = node;
        node = crn_tree_intern(&tree, caller, 0x1000);
        const struct crn_node *row = crn_tree_node(&tree, node);
        cr_assert(row->parent == caller && row->depth == depth && row->pc == 0x1000);
    }
}

Test(tree, a_million_stacks_that_share_callers_take_a_node_each)
{
    enum { BRANCHES = 1000 };
    uint32_t trunk = 0;
    for (unsigned i = 0; i < 50; i++)
        trunk = crn_tree_intern(&tree, trunk, 0x400000 + i);
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < BRANCHES; i++) {
            uint32_t branch = crn_tree_intern(&tree, trunk, 0x500000 + i * 16);
            for (unsigned k = 0; k < BRANCHES; k++)
                cr_assert(crn_tree_intern(&tree, branch, 0x600000 + k * 8) != 0);
        }
    cr_assert_eq(tree.node_count, 1 + 50 + BRANCHES + BRANCHES * BRANCHES);
    cr_assert_not(tree.is_full);
    /* 32 bytes a node, plus an eighth for growth; slots between two and four times as many. */
    cr_assert(tree.nodes.committed < tree.node_count * 32 * 9 / 8 + 65536);
    cr_assert(tree.table->mask < (uint64_t)tree.node_count * 4);
}

Test(tree, when_there_is_no_room_a_stack_is_unknown_and_old_ones_stay)
{
    struct crn_tree small;
    memset(&small, 0, sizeof small);
    cr_assert(crn_tree_init(&small, 64 * 1024) == CRN_OK);
    uint32_t first = crn_tree_intern(&small, 0, 1), node = first;
    unsigned refused = 0;
    for (unsigned i = 2; i < 10000; i++)
        refused += crn_tree_intern(&small, first, i) == 0;
    cr_assert(refused == 9998 - (2048 - 2) && small.is_full);
    cr_assert(crn_tree_intern(&small, 0, 1) == node);
}

static size_t no_budget(void)
{
    return 0;
}

/* A walk down a binary tree of data, by one of two calls at each step, then to a leaf's call. */
static uint32_t path_intern(unsigned path, unsigned steps)
{
    uint32_t node = crn_tree_intern(&tree, 0, 0x1000);
    for (unsigned i = 0; i < steps; i++)
        node = crn_tree_intern(&tree, node, path >> i & 1 ? 0x2000 : 0x2010);
    return crn_tree_intern(&tree, node, 0x3000);
}

Test(tree, recursion_is_folded_once_nodes_are_too_many)
{
    enum { STEPS = 17, LEAST = CRN_TREE_BUDGET_LEAST_BYTES / sizeof(struct crn_node) };
    tree.budget_bytes = no_budget;
    uint32_t first = path_intern(0, STEPS);
    for (unsigned path = 0; path < 1 << STEPS; path++)
        cr_assert(path_intern(path, STEPS) != 0);
    cr_assert(tree.is_folded);
    cr_assert_eq(path_intern(0, STEPS), first, "what is known stays as it was");
    /* Each step that is known may have got a leaf of its own, but no step has been added. */
    cr_assert(tree.node_count < 2 * LEAST);

    /* A folded stack still begins and ends as it did, and is the same when it comes again. */
    uint32_t folded = path_intern((1 << STEPS) - 2, STEPS), node = folded;
    cr_assert_eq(path_intern((1 << STEPS) - 2, STEPS), folded);
    cr_assert_eq(crn_tree_node(&tree, node)->pc, 0x3000);
    while (crn_tree_node(&tree, node)->parent != 0)
        node = crn_tree_node(&tree, node)->parent;
    cr_assert_eq(crn_tree_node(&tree, node)->pc, 0x1000);
    cr_assert(crn_tree_node(&tree, folded)->depth < STEPS + 2);
}

Test(tree, calls_that_do_not_recur_are_never_folded)
{
    tree.budget_bytes = no_budget;
    for (unsigned i = 0; i < 300000; i++) {
        uint32_t caller = crn_tree_intern(&tree, 0, 0x1000 + i / 500);
        cr_assert_eq(crn_tree_node(&tree, crn_tree_intern(&tree, caller, 0x900000 + i))->parent,
                     caller);
    }
    cr_assert_not(tree.is_folded);
}

/* Threads that intern the same random paths: equal paths read back equal. */
enum { THREADS = 4, PATHS = 20000, DEPTH = 12 };
static uint32_t nodes[THREADS][PATHS];

static uint64_t path_pc(unsigned path, unsigned depth)
{
    return 0x400000 + (path >> (2 * depth % 14)) % 7 + depth * 16;
}

static void *intern_run(void *argument)
{
    size_t thread = (size_t)argument;
    for (unsigned i = 0; i < PATHS; i++) {
        unsigned path = thread % 2 == 0 ? i : PATHS - 1 - i;
        uint32_t node = 0;
        for (unsigned depth = 0; depth < DEPTH; depth++)
            node = crn_tree_intern(&tree, node, path_pc(path, depth));
        nodes[thread][path] = node;
    }
    return NULL;
}

Test(tree, threads_that_intern_at_once_get_stacks_that_read_the_same)
{
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, intern_run, (void *)i);
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned thread = 0; thread < THREADS; thread++) {
        for (unsigned path = 0; path < PATHS; path++) {
            uint32_t node = nodes[thread][path];
            for (unsigned depth = DEPTH; depth-- > 0;) {
                const struct crn_node *row = crn_tree_node(&tree, node);
                cr_assert(row->pc == path_pc(path, depth) && row->depth == depth + 1);
                node = row->parent;
            }
            cr_assert_eq(node, 0);
        }
    }
}

Test(tree, after_a_fork_in_the_middle_of_growing_it_grows_again)
{
    crn_lock_acquire(&tree.lock, 77);
    for (unsigned i = 0; i < 3000; i++)
        cr_assert(crn_tree_intern(&tree, 0, 1 + i) != 0);
    cr_assert_eq(tree.table->mask, 4095);
    crn_tree_after_fork(&tree);
    for (unsigned i = 0; i < 6000; i++)
        cr_assert(crn_tree_intern(&tree, 0, 1 + i) != 0);
    cr_assert(tree.table->mask > 4095);
}
