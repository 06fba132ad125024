/*
 * Follows pointers from one block.  See reach.h.
 */
#include "mark/reach.h"
#include "mark/flood.h"

struct reach {
    struct crn_scan scan; /* first */
    struct crn_mark *mark;
    struct crn_worklist blocks, met; /* to scan; to be unmarked in the end */
    bool (*accept)(const struct crn_record *record, void *user);
    void *user;
    uint64_t bytes;
};

static void block_meet(struct reach *reach, const struct crn_target *target)
{
    const struct crn_record *record = crn_slot_record(reach->mark, target->slot);
    if ((reach->mark->colours[target->slot] & CRN_COLOUR_TRACED) != 0 ||
        !reach->accept(record, reach->user) || !crn_worklist_push(&reach->met, target->slot))
        return;
    reach->mark->colours[target->slot] |= CRN_COLOUR_TRACED;
    reach->bytes += crn_slot_size(reach->mark, target->slot);
    crn_worklist_push(&reach->blocks, target->start);
}

static void reach_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct reach *reach = (struct reach *)scan;
    struct crn_target target;
    (void)address;
    if (crn_target_find(reach->mark, word, &target))
        block_meet(reach, &target);
}

uint64_t crn_mark_reach_bytes(struct crn_mark *mark, uintptr_t address,
                              bool (*accept)(const struct crn_record *record, void *user),
                              void *user)
{
    struct reach reach = {
        .scan = {.mark = mark, .visit = reach_visit}, .mark = mark, .accept = accept, .user = user};
    struct crn_target target;
    if (!crn_target_cover(mark, address, &target))
        return 0;
    if (crn_worklist_init(&reach.blocks, mark->slot_count) &&
        crn_worklist_init(&reach.met, mark->slot_count)) {
        block_meet(&reach, &target);
        while (reach.blocks.count > 0 &&
               crn_target_find(mark, crn_worklist_pop(&reach.blocks), &target))
            crn_scan_block(&reach.scan, target.start, target.bytes);
        while (reach.met.count > 0)
            mark->colours[crn_worklist_pop(&reach.met)] &= (uint8_t)~CRN_COLOUR_TRACED;
    }
    crn_worklist_free(&reach.blocks);
    crn_worklist_free(&reach.met);
    return reach.bytes;
}
