/* The calling-context tree: one stack is one node, whoever interns it, also while the table grows.
 */
#include "stress.h"

#include "stack/tree.h"

enum { STACKS = 20000, DEPTH = 12, CALLEES = 9 };

static uint32_t nodes[STRESS_THREADS][STACKS];

/* The return address at each depth of a stack, from its number. */
static uint64_t pc_of(unsigned stack, unsigned depth)
{
    uint64_t state = depth < 4 ? stack % 7 + depth : stack + depth * 1000003u;
    return 0x400000 + 16 * stress_random(&state, CALLEES);
}

static void intern_all(unsigned thread)
{
    for (unsigned i = 0; i < STACKS; i++) {
        unsigned stack = (i + thread * (STACKS / 8)) % STACKS;
        uint32_t node = 0;
        for (unsigned depth = 0; depth < DEPTH; depth++)
            node = crn_tree_intern(&crn_tree, node, pc_of(stack, depth));
        nodes[thread][stack] = node;
    }
}

int main(void)
{
    STRESS_REQUIRE(crn_tree_init(&crn_tree, (size_t)1 << 30) == CRN_OK);
    stress_run(intern_all);
    for (unsigned stack = 0; stack < STACKS; stack++) {
        for (unsigned thread = 0; thread < STRESS_THREADS; thread++) {
            /* While the table grows a stack may get a second node; its frames are the same. */
            uint32_t node = nodes[thread][stack];
            for (unsigned depth = DEPTH; depth-- > 0; node = crn_tree_node(&crn_tree, node)->parent)
                STRESS_REQUIRE(crn_tree_node(&crn_tree, node)->pc == pc_of(stack, depth));
            STRESS_REQUIRE(node == 0);
        }
    }
    unsigned alike = 0;
    for (unsigned stack = 0; stack < STACKS; stack++)
        alike += nodes[0][stack] == nodes[1][stack];
    STRESS_REQUIRE(alike > STACKS * 9 / 10);
    return 0;
}
