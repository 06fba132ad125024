/*
 * Lost blocks: white ones, which nothing holds that could be used again.
 *
 * Those that no other lost block points to are direct; they are found by reading all in the order
 * in which they lie in memory.  What they lead to is indirect.  In the rest there are cycles:
 * direct is one block of each strongly connected component that no other one leads to.  Before all
 * come those that are only `likely`, since a pointer at an odd offset leads there (slices.h).
 *
 * That takes two floods, in whatever order they visit.  The first floods from each block of the
 * rest that it has not come to yet, ascending; those are its sources.  The second one floods from
 * the sources in the opposite order, and those that it has not come to by then are direct:
 *
 *   - Let x lead to the source s, and s not to x.  The first flood came to x after s, or it would
 *     have come to s from there.  So x has a later source than s, from which the second flood comes
 *     to x and s before it is the turn of s.
 *   - A component that nothing else leads to has one source, the first of its blocks, and no other
 *     source leads to that.
 */
#include "mark/leaks.h"
#include "mark/slices.h"
#include "mark/spare.h"

#include <string.h>

/* Finds out which lost blocks no other one points to: their bits stay set in `fresh`. */
struct refer_walk {
    struct crn_flood flood; /* first */
    uint32_t current; /* slot of the large block that is read, which does not count; 0: none */
};

static void refer_settle(struct crn_flood *flood)
{
    const struct refer_walk *walk = (const struct refer_walk *)flood;
    struct crn_found_works found;
    struct crn_target target;
    crn_flood_look_up(flood, &found);
    for (unsigned i = 0; i < found.count; i++)
        if (walk->current != 0 && found.slots[i] == walk->current)
            crn_bit_set(flood->fresh, walk->current);
    for (unsigned i = 0; i < found.doubt_count; i++)
        if (crn_target_find(flood->mark, found.doubts[i], &target) && target.slot != walk->current)
            crn_bit_clear(flood->fresh, target.slot);
}

static void refer_from(struct crn_target block, void *user)
{
    struct refer_walk *walk = user;
    struct crn_flood *flood = &walk->flood;
    enum { SMALL_BYTES = CRN_WORDS_CHUNK * sizeof(uintptr_t) };
    bool is_small = block.bytes <= SMALL_BYTES && !flood->mark->snap->is_unaligned;
    if (flood->word_count > 0 && (!is_small || flood->word_count > CRN_WORDS_CHUNK))
        refer_settle(flood);
    unsigned first = flood->word_count, count = first;
    walk->current = is_small ? 0 : block.slot;
    crn_scan_block(&flood->scan, block.start, block.bytes);
    if (!is_small) {
        refer_settle(flood);
        walk->current = 0;
        return;
    }
    for (unsigned i = first; i < flood->word_count; i++)
        if (flood->words[i] - block.start >= block.bytes)
            flood->words[count++] = flood->words[i];
    flood->word_count = count;
}

static uint64_t *bits_copy(struct crn_mark *mark)
{
    uint64_t *bits = mark->unused_bits;
    mark->unused_bits = NULL;
    if (bits == NULL)
        bits = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *bits);
    if (bits != NULL)
        memcpy(bits, mark->fresh, mark->bit_words * sizeof *bits);
    return bits;
}

static void direct_enter(struct crn_leak_flood *flood, const struct crn_target *target)
{
    crn_leak_follow(flood, target, crn_leak_enter(flood, target, true, 0));
}

static void unreferred_visit(struct crn_target target, void *user)
{
    direct_enter(user, &target);
}

static void unreferred_find(struct crn_leak_flood *flood)
{
    struct crn_mark *mark = flood->mark;
    struct refer_walk walk = {.current = 0};
    uint64_t *unreferred = bits_copy(mark);
    /* This flood scans nothing of its own accord. */
    if (unreferred == NULL || !crn_flood_init(&walk.flood, mark, unreferred, refer_settle, 0)) {
        flood->is_out_of_memory = true;
        return;
    }
    crn_mark_for_each(mark, mark->fresh, refer_from, &walk);
    refer_settle(&walk.flood);
    crn_flood_fini(&walk.flood);
    crn_mark_for_each(mark, unreferred, unreferred_visit, flood);
}

/* The first flood over what is left. */
struct source_walk {
    struct crn_flood flood; /* first */
    struct crn_worklist sources;
};

static void source_settle(struct crn_flood *flood)
{
    struct crn_found_works found;
    struct crn_target target;
    crn_flood_look_up(flood, &found);
    for (unsigned i = 0; i < found.count; i++)
        crn_flood_push(flood, found.works[i]);
    for (unsigned i = 0; i < found.doubt_count; i++)
        if (crn_target_find(flood->mark, found.doubts[i], &target) &&
            crn_bit_get(flood->fresh, target.slot)) {
            crn_bit_clear(flood->fresh, target.slot);
            crn_flood_push(flood, target.start);
        }
}

static void source_from(struct crn_target block, void *user)
{
    struct source_walk *walk = user;
    walk->flood.is_out_of_memory |= !crn_worklist_push(&walk->sources, block.start);
    crn_bit_clear(walk->flood.fresh, block.slot);
    crn_flood_push(&walk->flood, block.start);
    crn_flood_drain(&walk->flood);
}

static void cycles_find(struct crn_leak_flood *flood)
{
    struct crn_mark *mark = flood->mark;
    struct source_walk walk = {.sources.count = 0};
    struct crn_target target;
    uint64_t *rest = bits_copy(mark);
    if (rest != NULL &&
        crn_flood_init(&walk.flood, mark, rest, source_settle, mark->slot_count) &&
        crn_worklist_init(&walk.sources, mark->slot_count))
        crn_mark_for_each(mark, rest, source_from, &walk);
    else
        flood->is_out_of_memory = true;
    flood->is_out_of_memory |= walk.flood.is_out_of_memory;
    while (walk.sources.count > 0)
        if (crn_target_find(mark, crn_worklist_pop(&walk.sources), &target) &&
            crn_bit_get(mark->fresh, target.slot))
            direct_enter(flood, &target);
    crn_flood_fini(&walk.flood);
    crn_worklist_free(&walk.sources);
}

static void doubted_visit(struct crn_target target, void *user)
{
    struct crn_leak_flood *flood = user;
    if (crn_bit_get(flood->mark->fresh, target.slot))
        direct_enter(flood, &target);
}

/* What spare memory itself pointed to. */
static void bereft_find(struct crn_leak_flood *flood)
{
    const struct crn_mark *earlier = flood->mark->earlier;
    for (size_t i = 0; earlier != NULL && i < earlier->spare_count; i++) {
        struct crn_target target;
        if (crn_target_find(flood->mark, earlier->spares[i].target, &target) &&
            crn_block_is_bereft(flood->mark, target.slot) &&
            crn_bit_get(flood->mark->fresh, target.slot))
            direct_enter(flood, &target);
    }
}

void crn_lost_find(struct crn_leak_flood *flood)
{
    flood->verdict = CRN_VERDICT_LOST;
    flood->confidence = flood->mark->snap->unseen_threads > 0 ? CRN_LIKELY : CRN_PROVEN;
    flood->coro = flood->holder = 0;
    bereft_find(flood);
    if (flood->mark->doubted != NULL)
        crn_mark_for_each(flood->mark, flood->mark->doubted, doubted_visit, flood);
    unreferred_find(flood);
    cycles_find(flood);
}
