/*
 * The calling-context tree.  See tree.h.
 */
#include "stack/tree.h"
#include "base/sys.h"

struct crn_tree crn_tree;

enum { TABLE_SLOTS_FIRST = 4096 };

static struct crn_tree_table *table_make(size_t slots)
{
    struct crn_tree_table *table = crn_vm_map(sizeof *table + slots * sizeof table->slots[0]);
    if (table != NULL)
        table->mask = slots - 1;
    return table;
}

enum crn_status crn_tree_init(struct crn_tree *tree, size_t address_space_bytes)
{
    size_t most = ((size_t)1 << 32) * sizeof(struct crn_node);
    if (!crn_span_init(&tree->nodes, address_space_bytes < most ? address_space_bytes : most) ||
        !crn_span_ensure(&tree->nodes, sizeof(struct crn_node)))
        return CRN_ERR_NO_MEMORY;
    tree->table = table_make(TABLE_SLOTS_FIRST);
    tree->node_count = 1;
    return tree->table != NULL ? CRN_OK : CRN_ERR_NO_MEMORY;
}

static uint64_t hash_of(uint32_t parent, uint64_t pc)
{
    return crn_hash64(pc ^ (uint64_t)parent * 0xd6e8feb86659fd93u);
}

/* Makes a table twice as large; nodes interned meanwhile may be missing and get a second id. */
static void table_grow(struct crn_tree *tree, struct crn_tree_table *seen)
{
    if (!crn_lock_try(&tree->lock))
        return; /* somebody is at it */
    struct crn_tree_table *old = tree->table;
    struct crn_tree_table *fresh = old == seen ? table_make((old->mask + 1) * 2) : NULL;
    if (fresh != NULL) {
        for (uint64_t i = 0; i <= old->mask; i++) {
            uint32_t id = old->slots[i];
            if (id == 0)
                continue;
            const struct crn_node *node = crn_tree_node(tree, id);
            uint64_t at = hash_of(node->parent, node->pc) & fresh->mask;
            while (fresh->slots[at] != 0)
                at = (at + 1) & fresh->mask;
            fresh->slots[at] = id;
        }
        fresh->older = old;
        atomic_store_explicit(&tree->table, fresh, memory_order_release);
    }
    crn_lock_release(&tree->lock);
}

/* A node that nobody can see yet; 0: there is no memory for it. */
static uint32_t node_make(struct crn_tree *tree, uint32_t parent, uint64_t pc)
{
    uint32_t id = tree->node_count;
    do {
        if (id == UINT32_MAX ||
            !crn_span_ensure(&tree->nodes, ((size_t)id + 1) * sizeof(struct crn_node))) {
            tree->is_full = true;
            return 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&tree->node_count, &id, id + 1,
                                                    memory_order_relaxed, memory_order_relaxed));
    struct crn_node *node = (struct crn_node *)tree->nodes.base + id;
    node->pc = pc;
    node->parent = parent;
    node->depth = crn_tree_node(tree, parent)->depth + 1;
    return id;
}

/* Whether new nodes are too many for what they are worth. */
static bool is_over_budget(const struct crn_tree *tree)
{
    size_t bytes = tree->node_count * sizeof(struct crn_node);
    return CRN_UNLIKELY(bytes >= CRN_TREE_BUDGET_LEAST_BYTES) && tree->budget_bytes != NULL &&
           bytes >= tree->budget_bytes();
}

/* `pc` among the frames from `node` outwards, the nearest; 0: not among the next few. */
static uint32_t recursion_find(const struct crn_tree *tree, uint32_t node, uint64_t pc)
{
    enum { FRAMES_MAX = 16 };
    for (unsigned i = 0; i < FRAMES_MAX && node != 0; i++) {
        const struct crn_node *frame = crn_tree_node(tree, node);
        if (frame->pc == pc)
            return node;
        node = frame->parent;
    }
    return 0;
}

/* One try, in one table; 0: it is full.  `made` is the node to put in, 0: none was made yet. */
static uint32_t intern_in(struct crn_tree *tree, struct crn_tree_table *table, uint32_t parent,
                          uint64_t pc, uint32_t *made)
{
    uint64_t at = hash_of(parent, pc) & table->mask;
    for (uint64_t probes = 0; probes <= table->mask; at = (at + 1) & table->mask, probes++) {
        uint32_t found = atomic_load_explicit(&table->slots[at], memory_order_acquire);
        if (found == 0) {
            if (*made == 0 && is_over_budget(tree)) {
                uint32_t earlier = recursion_find(tree, parent, pc);
                if (earlier != 0) {
                    tree->is_folded = 1;
                    return earlier; /* not noted: a row of the table names its own caller */
                }
            }
            if (*made == 0 && (*made = node_make(tree, parent, pc)) == 0)
                return 0;
            if (atomic_compare_exchange_strong_explicit(
                    &table->slots[at], &found, *made, memory_order_release, memory_order_acquire)) {
                if (tree->table_count++ >= table->mask / 2)
                    table_grow(tree, table);
                return *made;
            }
        }
        const struct crn_node *node = crn_tree_node(tree, found);
        if (node->pc == pc && node->parent == parent)
            return found;
    }
    return *made;
}

/*
 * A table is grown when half full, by one thread; the others go on in the old one and may fill it
 * before that is done.  Then they wait, but not for ever: a check's walk must not hang on a thread
 * that it stopped.
 */
static CRN_COLD uint32_t intern_when_grown(struct crn_tree *tree, struct crn_tree_table *full,
                                           uint32_t parent, uint64_t pc, uint32_t *made)
{
    enum { TRIES = 10000 };
    for (unsigned i = 0; i < TRIES && !tree->is_full; i++) {
        struct crn_tree_table *table = atomic_load_explicit(&tree->table, memory_order_acquire);
        if (table == full) {
            table_grow(tree, full);
            crn_syscall0(SYS_sched_yield);
            continue;
        }
        uint32_t id = intern_in(tree, table, parent, pc, made);
        if (id != 0)
            return id;
        full = table;
    }
    return 0;
}

static CRN_NOINLINE uint32_t intern_in_table(struct crn_tree *tree, uint32_t parent, uint64_t pc,
                                             uint32_t made)
{
    struct crn_tree_table *table = atomic_load_explicit(&tree->table, memory_order_acquire);
    uint32_t id = intern_in(tree, table, parent, pc, &made);
    return CRN_LIKELY_TRUE(id != 0) ? id : intern_when_grown(tree, table, parent, pc, &made);
}

uint32_t crn_tree_intern(struct crn_tree *tree, uint32_t parent, uint64_t pc)
{
    struct crn_node *caller = (struct crn_node *)tree->nodes.base + parent;
    uint32_t made = 0;
    bool is_earlier = false;
    for (unsigned i = 0; i < CRN_NODE_CALLEES; i++) {
        uint64_t callee = atomic_load_explicit(&caller->callees[i], memory_order_acquire);
        if (callee == 0) {
            if (made == 0 && is_over_budget(tree) && (made = recursion_find(tree, parent, pc)) != 0)
                tree->is_folded = is_earlier = true;
            if (made == 0 && (made = node_make(tree, parent, pc)) == 0)
                return 0;
            if (atomic_compare_exchange_strong_explicit(&caller->callees[i], &callee,
                                                        (uint64_t)made << 32 | (uint32_t)pc,
                                                        memory_order_acq_rel, memory_order_acquire))
                return made;
        }
        if ((uint32_t)callee == (uint32_t)pc && crn_tree_node(tree, callee >> 32)->pc == pc)
            return callee >> 32;
    }
    return is_earlier ? made : intern_in_table(tree, parent, pc, made);
}

void crn_tree_after_fork(struct crn_tree *tree)
{
    crn_lock_init(&tree->lock);
}
