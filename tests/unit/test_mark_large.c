/*
 * Heaps of tens of thousands of blocks: verdicts against a plain walk over the edges, and the
 * memory that a mark takes against the bound that runtime/mark/README.md states.
 */
#include "make_snap.h"

enum { BLOCKS = 30000, EDGES_MAX = 3, ROOMY_PAGES = 32768 };

static struct maker_snap maker;

struct node {
    uintptr_t start;
    size_t bytes;
    bool is_freed, is_live, is_found, is_direct;
    unsigned edge_count;
    uint32_t edges[EDGES_MAX];
    uint32_t first_from; /* into `froms`: who points here */
};
static struct node nodes[BLOCKS];
static uint32_t froms[BLOCKS * EDGES_MAX], from_count, queue[BLOCKS];

static void roomy_init(void)
{
    maker_snap_init(&maker);
    maker_heap_fini(&maker.heap);
    maker_heap_init(&maker.heap, ROOMY_PAGES);
    maker.snap.heap_end = maker_end(&maker.heap);
}

static uintptr_t *word_of(const struct node *node, size_t word)
{
    return (uintptr_t *)node->start + word % (node->bytes / sizeof(uintptr_t));
}

/* Blocks of all sizes, of which some are freed again, and words that point into others. */
static void graph_make(struct maker_random *random)
{
    size_t edges_below = 1 + maker_below(random, EDGES_MAX);
    memset(nodes, 0, sizeof nodes);
    for (unsigned i = 0; i < BLOCKS; i++) {
        size_t bytes = 32 + maker_below(random, maker_below(random, 50) == 0 ? 9000 : 300);
        nodes[i].bytes = maker_below(random, 2000) == 0 ? 20000 : bytes;
        nodes[i].start = (uintptr_t)maker_block(&maker.heap, nodes[i].bytes);
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct node *node = &nodes[i];
        node->is_freed = maker_below(random, 20) == 0;
        unsigned wanted = (unsigned)maker_below(random, edges_below + 1);
        for (unsigned k = 0; k < wanted; k++) {
            uintptr_t *word = word_of(node, maker_below(random, 4096));
            uint32_t to = (uint32_t)maker_below(random, BLOCKS);
            if (*word != 0)
                continue;
            *word = nodes[to].start +
                    (maker_below(random, 4) == 0 ? maker_below(random, nodes[to].bytes) : 0);
            node->edges[node->edge_count++] = to;
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++) {
        struct crn_block block;
        if (nodes[i].is_freed && crn_index_find(&maker.heap.heap.index, nodes[i].start, &block))
            crn_record_clear(block.record);
    }
}

/* Marks all that `count` nodes in the queue lead to, over nodes that are not live already. */
static void walk(size_t count, bool is_live)
{
    for (size_t at = 0; at < count; at++) {
        const struct node *node = &nodes[queue[at]];
        for (unsigned k = 0; k < node->edge_count; k++) {
            struct node *to = &nodes[node->edges[k]];
            if (to->is_freed || to->is_live || (!is_live && to->is_found))
                continue;
            *(is_live ? &to->is_live : &to->is_found) = true;
            queue[count++] = node->edges[k];
        }
    }
}

static void froms_make(void)
{
    static uint32_t at[BLOCKS];
    memset(at, 0, sizeof at);
    for (unsigned i = 0; i < BLOCKS; i++)
        for (unsigned k = 0; k < nodes[i].edge_count; k++)
            at[nodes[i].edges[k]]++;
    from_count = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        nodes[i].first_from = from_count;
        from_count += at[i];
        at[i] = nodes[i].first_from;
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        for (unsigned k = 0; k < nodes[i].edge_count; k++)
            froms[at[nodes[i].edges[k]]++] = i;
}

/*
 * Of a direct block, whoever leads to it is led to by it, so going backwards stays in its
 * component; there must not be another direct one.
 */
static unsigned directs_behind(unsigned direct)
{
    static uint32_t seen[BLOCKS];
    static uint32_t round;
    unsigned directs = 0;
    size_t count = 1;
    round++;
    queue[0] = direct;
    seen[direct] = round;
    for (size_t at = 0; at < count; at++) {
        uint32_t node = queue[at];
        uint32_t end = node + 1 < BLOCKS ? nodes[node + 1].first_from : from_count;
        directs += nodes[node].is_direct;
        for (uint32_t k = nodes[node].first_from; k < end; k++) {
            uint32_t from = froms[k];
            if (nodes[from].is_freed || nodes[from].is_live || seen[from] == round)
                continue;
            seen[from] = round;
            queue[count++] = from;
        }
    }
    return directs;
}

static void graph_check(unsigned seed)
{
    size_t direct_count = 0;
    for (unsigned i = 0; i < BLOCKS; i++) {
        bool is_direct = false;
        if (nodes[i].is_freed)
            continue;
        enum crn_verdict found = crn_mark_verdict(&maker.mark, nodes[i].start, &is_direct);
        cr_assert(found == (nodes[i].is_live ? CRN_VERDICT_LIVE : CRN_VERDICT_LOST),
                  "seed %u: block %u is %s", seed, i, verdict_word(found));
        nodes[i].is_direct = is_direct;
        nodes[i].is_found = is_direct;
        if (is_direct)
            queue[direct_count++] = i;
    }
    walk(direct_count, false);
    for (unsigned i = 0; i < BLOCKS; i++)
        cr_assert(nodes[i].is_freed || nodes[i].is_live || nodes[i].is_found,
                  "seed %u: no direct block leads to block %u", seed, i);
    for (unsigned i = 0; i < BLOCKS; i++)
        if (nodes[i].is_direct)
            cr_assert(directs_behind(i) == 1, "seed %u: block %u is led to by another direct one",
                      seed, i);
}

Test(large_heaps, get_the_verdicts_of_a_walk_over_their_edges)
{
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct maker_random random = maker_random_from(seed);
        size_t roots = maker_below(&random, 40), live_count = 0;
        roomy_init();
        graph_make(&random);
        for (size_t i = 0; i < roots; i++) {
            uint32_t to = (uint32_t)maker_below(&random, BLOCKS);
            *maker_global(&maker) = nodes[to].start;
            if (nodes[to].is_freed || nodes[to].is_live)
                continue;
            nodes[to].is_live = true;
            queue[live_count++] = to;
        }
        walk(live_count, true);
        froms_make();
        maker_mark(&maker);
        graph_check(seed);
        maker_snap_fini(&maker);
    }
}

/* runtime/mark/README.md, "Memory". */
static size_t bound_live(size_t slots, size_t pages)
{
    return slots * 41 / 4 + pages * 8 + (2 << 20);
}

static size_t bound_lost(size_t slots, size_t pages, size_t lost)
{
    return bound_live(slots, pages) + slots * 3 / 8 + lost * 54 + (2 << 20);
}

static size_t mark_bytes(void)
{
    size_t before = crn_vm_used_bytes();
    crn_vm_peak_reset();
    maker_mark(&maker);
    return crn_vm_peak_bytes() - before;
}

/* One block that points to all others: they are all on the work list at once. */
static void star_make(size_t count)
{
    uintptr_t *centre = maker_block(&maker.heap, count * sizeof *centre);
    for (size_t i = 0; i < count; i++)
        centre[i] = (uintptr_t)maker_block(&maker.heap, 16);
    *maker_global(&maker) = (uintptr_t)centre;
}

Test(the_memory_of_a_mark, is_bounded_when_all_blocks_wait_at_once)
{
    enum { COUNT = 2000000 };
    roomy_init();
    star_make(COUNT);
    size_t bytes = mark_bytes();
    cr_assert(maker.mark.suspect_count == 0);
    size_t bound = bound_live(maker.mark.slot_count, maker.mark.pages);
    cr_assert(bytes <= bound, "%zu bytes, bound %zu", bytes, bound);
    /* The same, lost. */
    maker.snap.root_count = 0;
    crn_mark_free(&maker.mark);
    maker.is_marked = false;
    bytes = mark_bytes();
    cr_assert(maker.mark.suspect_count == COUNT + 1);
    bound = bound_lost(maker.mark.slot_count, maker.mark.pages, COUNT + 1);
    cr_assert(bytes <= bound, "%zu bytes, bound %zu", bytes, bound);
    maker_snap_fini(&maker);
}

Test(the_memory_of_a_mark, is_bounded_when_all_blocks_are_in_cycles)
{
    enum { COUNT = 300000 };
    roomy_init();
    for (size_t i = 0; i < COUNT; i++) {
        uintptr_t *one = maker_block(&maker.heap, 32), *other = maker_block(&maker.heap, 32);
        *one = (uintptr_t)other;
        *other = (uintptr_t)one;
    }
    size_t bytes = mark_bytes();
    cr_assert(maker.mark.suspect_count == 2 * COUNT);
    cr_assert(maker.mark.groups[0].verdict == CRN_VERDICT_LOST);
    size_t bound = bound_lost(maker.mark.slot_count, maker.mark.pages, 2 * COUNT);
    cr_assert(bytes <= bound, "%zu bytes, bound %zu", bytes, bound);
    maker_snap_fini(&maker);
}
