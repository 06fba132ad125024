/*
 * Owners of live blocks.  See retained.h.
 *
 * A word for each block says who reached it:
 *
 *     0 nobody yet --> BASE: the roots, for good
 *                  --> FIRST + n: coroutine n alone --> SHARED: more than one, for good
 *
 * so a block changes at most twice.  IS_FRAME beside that marks coroutine frames, which are reached
 * like other blocks and read only when their own turn comes.
 */
#include "mark/retained.h"
#include "mark/flood.h"

enum { BASE = 1, SHARED = 2, FIRST = 3 };
static const uint32_t IS_FRAME = (uint32_t)1 << 31;

struct retained_flood {
    struct crn_scan scan; /* first */
    struct crn_mark *mark;
    uint32_t *owners;  /* by slot */
    uint32_t owner;    /* who floods */
    crn_slot own_slot; /* the block that its frame is or its stack lies in */
    bool has_own_slot, is_out_of_memory;
    struct crn_worklist blocks; /* reached by `owner`, not read */
    struct crn_worklist shared; /* have just become SHARED */
};

static bool is_live(const struct crn_mark *mark, crn_slot slot)
{
    return (mark->colours[slot] & CRN_COLOUR_MASK) == CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE;
}

static void visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct retained_flood *flood = (struct retained_flood *)scan;
    struct crn_target target;
    (void)address;
    if (!crn_target_find(flood->mark, word, &target) || !is_live(flood->mark, target.slot) ||
        (flood->has_own_slot && target.slot == flood->own_slot))
        return;
    uint32_t old = flood->owners[target.slot] & ~IS_FRAME;
    uint32_t frame = flood->owners[target.slot] & IS_FRAME;
    if (old == flood->owner || old == BASE || old == SHARED)
        return;
    if (flood->mark->snap->link_count != 0 && crn_word_is_link(flood->mark, word))
        return;
    uint32_t fresh = old == 0 ? flood->owner : (uint32_t)SHARED;
    flood->owners[target.slot] = frame | fresh;
    if (frame == 0)
        flood->is_out_of_memory |=
            !crn_worklist_push(fresh == SHARED ? &flood->shared : &flood->blocks, target.start);
}

static void drain(struct retained_flood *flood, struct crn_worklist *list)
{
    struct crn_ahead ahead = {.count = 0};
    struct crn_target target;
    for (uintptr_t start; (start = crn_ahead_next(&ahead, list)) != 0;)
        if (crn_target_find(flood->mark, start, &target))
            crn_scan_block(&flood->scan, target.start, target.bytes);
}

/*
 * Reads all that the owner came to, then passes on what it turned out to share.  A block that is
 * shared before it was read by the owner is read in both passes, and comes to the same.
 */
static void settle(struct retained_flood *flood)
{
    drain(flood, &flood->blocks);
    flood->owner = SHARED;
    flood->has_own_slot = false;
    while (flood->shared.count > 0)
        drain(flood, &flood->shared);
}

static void roots_flood(struct retained_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    flood->owner = BASE;
    for (size_t i = 0; i < snap->root_count; i++)
        crn_scan_root(&flood->scan, &snap->roots[i]);
    drain(flood, &flood->blocks);
}

static void coro_flood(struct retained_flood *flood, uint32_t number)
{
    const struct crn_snap *snap = flood->mark->snap;
    struct crn_target own;
    bool is_frame = number >= snap->coro_count;
    uintptr_t start =
        is_frame ? snap->frames[number - snap->coro_count].start : snap->coros[number].stack_start;
    flood->owner = FIRST + number;
    flood->has_own_slot = crn_target_cover(flood->mark, start, &own);
    flood->own_slot = flood->has_own_slot ? own.slot : 0;
    if (is_frame && flood->has_own_slot) {
        crn_scan_block(&flood->scan, own.start, own.bytes);
    } else if (!is_frame) {
        crn_scan_reached(&flood->scan, number);
    }
    settle(flood);
}

static void frames_enter(struct retained_flood *flood)
{
    const struct crn_snap *snap = flood->mark->snap;
    struct crn_target target;
    for (size_t i = 0; i < snap->frame_count; i++)
        if (crn_target_find(flood->mark, snap->frames[i].start, &target))
            flood->owners[target.slot] = IS_FRAME;
}

static void bytes_add(const struct retained_flood *flood, uint64_t *bytes)
{
    const struct crn_mark *mark = flood->mark;
    for (size_t slot = 0; slot < mark->slot_count; slot++) {
        uint32_t owner = flood->owners[slot] & ~IS_FRAME;
        if (owner >= FIRST && (mark->colours[slot] & CRN_COLOUR_FOREIGN) == 0)
            bytes[owner - FIRST] += crn_slot_size(mark, (crn_slot)slot);
    }
}

enum crn_status crn_mark_retained(struct crn_mark *mark, uint64_t *bytes)
{
    const struct crn_snap *snap = mark->snap;
    uint32_t numbers = (uint32_t)(snap->coro_count + snap->frame_count);
    struct crn_arena arena = {0};
    struct retained_flood flood = {.scan = {.mark = mark, .visit = visit}, .mark = mark};
    flood.owners = crn_arena_alloc(&arena, (mark->slot_count + 1) * sizeof *flood.owners);
    flood.is_out_of_memory = flood.owners == NULL ||
                             !crn_worklist_init(&flood.blocks, mark->slot_count) ||
                             !crn_worklist_init(&flood.shared, mark->slot_count);
    if (!flood.is_out_of_memory) {
        frames_enter(&flood);
        roots_flood(&flood);
    }
    for (uint32_t i = 0; i < numbers && !flood.is_out_of_memory; i++) {
        if (mark->holder_of[i] != 0)
            continue;
        bytes[i] = 0;
        coro_flood(&flood, i);
    }
    if (!flood.is_out_of_memory)
        bytes_add(&flood, bytes);
    crn_worklist_free(&flood.blocks);
    crn_worklist_free(&flood.shared);
    crn_arena_free_all(&arena);
    return flood.is_out_of_memory ? CRN_ERR_NO_MEMORY : CRN_OK;
}

bool crn_mark_is_coroutine(const struct crn_mark *mark, uintptr_t start)
{
    const struct crn_snap *snap = mark->snap;
    struct crn_target target;
    if (crn_frame_find(snap, start) != 0)
        return true;
    if (!crn_target_find(mark, start, &target))
        return false;
    uint32_t coro = crn_block_coro(mark, target.start, target.bytes);
    return coro != 0 && snap->coros[coro - 1].stack_start - target.start < target.bytes;
}
