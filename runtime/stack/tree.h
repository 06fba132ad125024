#ifndef CRN_TREE_H
#define CRN_TREE_H
/*
 * The calling-context tree: every stack ever seen, each call frame stored once.
 *
 *     node = (parent node, return address)       stack = the id of its innermost node
 *
 * so stacks that share callers share nodes, and a stack is 32 bits in a block's record.  Nodes
 * are never freed: a program has few contexts and many blocks.
 *
 * A node names its first two callees itself, further ones are in a hash table:
 *
 *     node(parent) --callees[0..1]--> node           one line of memory a frame
 *                  `--(parent, pc)--> table --> node
 *
 * A tree of n nodes has n - 1 callees, so most nodes have no more than one.  Deep recursion, with a
 * context for each path down some data, is then a walk like the program's own; the table holds
 * what dispatching loops call, and stays small.
 *
 * A recursive function can make a context of every path down its data, for ever.  So once there are
 * many nodes for the heap they describe, a call that would be a new node, but came before a few
 * frames further out, is that earlier node again: recursion is folded, as in G. Ammons, T. Ball,
 * J. R. Larus, "Exploiting Hardware Performance Counters with Flow and Context Sensitive Profiling"
 * (PLDI 1997), there from the start.  Every frame outside a recursion stays; how often it went
 * round, and by which calls, is then lost.
 *
 * Find and intern take no lock.  A node is written before its id is published; two threads that
 * intern the same one at once may leave a spare node behind, nothing worse.  Only growing the table
 * takes the lock; readers go on in the old table, which stays.
 *
 *   I1  the table has callees of nodes whose own two places are taken, and no others.
 */
#include "base/lock.h"
#include "base/vm.h"

enum { CRN_NODE_CALLEES = 2 };

struct crn_node {
    uint64_t pc;                                /* return address */
    uint32_t parent;                            /* id; 0: the root */
    uint32_t depth;                             /* frames from the root, this one included */
    _Atomic uint64_t callees[CRN_NODE_CALLEES]; /* id << 32 | low half of its pc; 0: none yet */
};

struct crn_tree_table {
    struct crn_tree_table *older;
    uint64_t mask;            /* slots - 1 */
    _Atomic uint32_t slots[]; /* node ids; 0: empty */
};

struct crn_tree {
    struct crn_span nodes; /* of struct crn_node; id 0 is the root, "unknown" */
    _Atomic uint32_t node_count;
    _Atomic uint32_t table_count; /* of nodes in the table */
    struct crn_tree_table *_Atomic table;
    struct crn_lock lock; /* guards growing */
    bool is_full;
    size_t (*budget_bytes)(void); /* what nodes may take before recursion is folded; NULL: any */
    _Atomic uint32_t is_folded;   /* some was */
};

/* What nodes may take in any case. */
enum { CRN_TREE_BUDGET_LEAST_BYTES = 2 << 20 };

/* The tree of this process. */
extern struct crn_tree crn_tree;

enum crn_status crn_tree_init(struct crn_tree *tree, size_t address_space_bytes);

/* The node for `pc` called from `parent`; 0 when there is no memory for it. */
uint32_t crn_tree_intern(struct crn_tree *tree, uint32_t parent, uint64_t pc);

CRN_INLINE const struct crn_node *crn_tree_node(const struct crn_tree *tree, uint32_t id)
{
    return (const struct crn_node *)tree->nodes.base + id;
}

void crn_tree_after_fork(struct crn_tree *tree);

#endif
