/*
 * How a block becomes a leak.  See leaks.h.
 */
#include "mark/leaks.h"
#include "mark/spare.h"

/* The first of the spares that are of the same container, so that they make one group. */
static uint32_t container_of(const struct crn_mark *mark, uint32_t spare)
{
    const struct crn_spare *spares = mark->earlier->spares;
    for (uint32_t i = 0; spare != 0 && i < spare; i++)
        if (spares[i].container == spares[spare - 1].container)
            return i + 1;
    return spare;
}

uint32_t crn_leak_enter(struct crn_leak_flood *flood, const struct crn_target *target,
                        bool is_direct, uintptr_t address)
{
    struct crn_mark *mark = flood->mark;
    struct crn_record *record = crn_slot_record(mark, target->slot);
    bool is_foreign = (mark->colours[target->slot] & CRN_COLOUR_FOREIGN) != 0;
    if (is_foreign && is_direct)
        return CRN_NO_GROUP; /* stays white: see foreign_visit */
    crn_colour_set(mark, target->slot, flood->verdict);
    if (is_foreign || (!is_direct && flood->group == CRN_NO_GROUP))
        return CRN_NO_GROUP;
    uint32_t group = flood->group;
    if (is_direct) {
        enum crn_doubt doubt = crn_block_doubt(mark, target->slot);
        if (doubt == CRN_DOUBT_NONE && flood->coro != 0)
            doubt = crn_coro_doubt(mark, flood->coro - 1);
        bool is_likely = doubt != CRN_DOUBT_NONE || crn_snap_unknown_holder(mark->snap) != NULL;
        bool is_bereft = crn_block_is_bereft(mark, target->slot);
        is_likely |= is_bereft;
        mark->colours[target->slot] |= CRN_COLOUR_DIRECT;
        struct crn_group key = {
            .verdict = (uint8_t)(is_bereft ? CRN_VERDICT_LOST : flood->verdict),
            .confidence = (uint8_t)(is_likely ? CRN_LIKELY : flood->confidence),
            .is_bereft = is_bereft,
            .spare = is_bereft ? container_of(mark, crn_spare_at(mark, target->start)) : 0,
            .doubt = (uint8_t)doubt,
            .place = is_bereft ? 0 : flood->place,
            .alloc_node = record->stack,
            .holder = is_bereft ? 0 : flood->holder,
            .example = target->start,
            .example_word = is_bereft ? 0 : address,
            .example_coro = is_bereft ? 0 : flood->coro,
        };
        group = crn_groups_group(flood->groups, &key);
    }
    struct crn_suspect suspect = {target->start, record, crn_slot_size(mark, target->slot), group, is_direct};
    if (group == CRN_NO_GROUP || !crn_groups_suspect(flood->groups, &suspect))
        flood->is_out_of_memory = true;
    return group;
}

void crn_leak_follow(struct crn_leak_flood *flood, const struct crn_target *block, uint32_t group)
{
    flood->group = group;
    crn_flood_push(&flood->flood, block->start);
    crn_flood_drain(&flood->flood);
}
