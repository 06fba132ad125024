/*
 * Suspects, groups and holders.  See groups.h.
 */
#include "mark/groups.h"

#include <string.h>

enum { SLOTS_FIRST = 256 };

static struct crn_group *group_at(const struct crn_groups *groups, size_t index)
{
    return (struct crn_group *)groups->groups_span.base + index;
}

static struct crn_holder *holder_at(const struct crn_groups *groups, size_t index)
{
    return (struct crn_holder *)groups->holders_span.base + index;
}

static bool span_init_at_most(struct crn_span *span, size_t bytes)
{
    enum { BYTES_AT_LEAST = 1 << 20 };
    for (; bytes > BYTES_AT_LEAST; bytes /= 2)
        if (crn_span_init_passing(span, bytes))
            return true;
    return crn_span_init_passing(span, BYTES_AT_LEAST);
}

bool crn_groups_init(struct crn_groups *groups, struct crn_mark *mark)
{
    memset(groups, 0, sizeof *groups);
    groups->mark = mark;
    groups->group_mask = groups->holder_mask = SLOTS_FIRST - 1;
    groups->group_slots = crn_arena_alloc(&mark->arena, SLOTS_FIRST * sizeof(uint32_t));
    groups->holder_slots = crn_arena_alloc(&mark->arena, SLOTS_FIRST * sizeof(uint32_t));
    size_t coros = mark->snap->coro_count + mark->snap->frame_count;
    groups->holder_of = crn_arena_alloc(&mark->arena, (coros + 1) * sizeof(uint32_t));
    return groups->group_slots != NULL && groups->holder_slots != NULL &&
           groups->holder_of != NULL &&
           span_init_at_most(&groups->suspects_span,
                             mark->slot_count * sizeof(struct crn_suspect)) &&
           span_init_at_most(&groups->groups_span, mark->slot_count * sizeof(struct crn_group)) &&
           span_init_at_most(&groups->holders_span,
                             coros * sizeof(struct crn_holder));
}

static uint64_t group_hash(const struct crn_group *group)
{
    return crn_hash64(((uint64_t)group->alloc_node << 32 | group->holder) ^
                      (uint64_t)group->verdict << 60 ^ (uint64_t)group->confidence << 56 ^
                      (uint64_t)group->doubt << 54 ^ (uint64_t)group->is_bereft << 53 ^
                      (uint64_t)group->spare << 20 ^ (uint64_t)group->place << 36);
}

uint64_t crn_holder_hash(const struct crn_holder *holder)
{
    return crn_hash64(((uint64_t)holder->created_node << 32 | holder->suspended_node) ^
                      crn_hash64(holder->entry + holder->state * 64u + holder->mechanism +
                                 holder->suspension * 1024u));
}

bool crn_holders_are_alike(const struct crn_holder *a, const struct crn_holder *b)
{
    return a->mechanism == b->mechanism && a->state == b->state && a->entry == b->entry &&
           a->created_node == b->created_node && a->suspended_node == b->suspended_node &&
           a->suspension == b->suspension;
}

/* Doubles a table of slots when it is half full. */
static void slots_grow(struct crn_groups *groups, uint32_t **slots, size_t *mask, size_t count,
                       uint64_t (*hash_at)(const struct crn_groups *groups, size_t index))
{
    size_t wanted = (*mask + 1) * 2;
    if (count * 2 <= *mask)
        return;
    uint32_t *fresh = crn_arena_alloc(&groups->mark->arena, wanted * sizeof *fresh);
    if (fresh == NULL)
        return;
    for (size_t i = 0; i < count; i++) {
        size_t at = hash_at(groups, i) & (wanted - 1);
        while (fresh[at] != 0)
            at = (at + 1) & (wanted - 1);
        fresh[at] = (uint32_t)i + 1;
    }
    *slots = fresh;
    *mask = wanted - 1;
}

static uint64_t group_hash_at(const struct crn_groups *groups, size_t index)
{
    return group_hash(group_at(groups, index));
}

static uint64_t holder_hash_at(const struct crn_groups *groups, size_t index)
{
    return crn_holder_hash(holder_at(groups, index));
}

uint32_t crn_groups_group(struct crn_groups *groups, const struct crn_group *key)
{
    slots_grow(groups, &groups->group_slots, &groups->group_mask, groups->group_count,
               group_hash_at);
    size_t at = group_hash(key) & groups->group_mask;
    for (; groups->group_slots[at] != 0; at = (at + 1) & groups->group_mask) {
        const struct crn_group *found = group_at(groups, groups->group_slots[at] - 1);
        if (found->verdict == key->verdict && found->confidence == key->confidence &&
            found->alloc_node == key->alloc_node && found->holder == key->holder &&
            found->doubt == key->doubt && found->is_bereft == key->is_bereft &&
            found->spare == key->spare && found->place == key->place)
            return groups->group_slots[at];
    }
    if (!crn_span_ensure(&groups->groups_span, (groups->group_count + 1) * sizeof *key))
        return 0;
    struct crn_group *fresh = group_at(groups, groups->group_count);
    *fresh = *key;
    fresh->blocks = fresh->bytes = fresh->indirect_blocks = fresh->indirect_bytes = 0;
    return groups->group_slots[at] = (uint32_t)++groups->group_count;
}

uint32_t crn_groups_holder(struct crn_groups *groups, uint32_t number, enum crn_verdict verdict)
{
    if (groups->holder_of[number] != 0)
        return groups->holder_of[number];
    struct crn_holder key = crn_coro_describe(groups->mark->snap, number);
    if (verdict != CRN_VERDICT_STALE)
        key.state = verdict == CRN_VERDICT_COMPLETED   ? CRN_CORO_COMPLETED
                    : verdict == CRN_VERDICT_CANCELLED ? CRN_CORO_CANCELLED
                                                       : CRN_CORO_ABANDONED;
    uint64_t stack_bytes = key.stack_bytes;
    key.stack_bytes = 0;
    key.count = 0;
    slots_grow(groups, &groups->holder_slots, &groups->holder_mask, groups->holder_count,
               holder_hash_at);
    size_t at = crn_holder_hash(&key) & groups->holder_mask;
    while (groups->holder_slots[at] != 0 &&
           !crn_holders_are_alike(holder_at(groups, groups->holder_slots[at] - 1), &key))
        at = (at + 1) & groups->holder_mask;
    if (groups->holder_slots[at] == 0) {
        if (!crn_span_ensure(&groups->holders_span, (groups->holder_count + 1) * sizeof key))
            return 0;
        *holder_at(groups, groups->holder_count) = key;
        groups->holder_slots[at] = (uint32_t)++groups->holder_count;
    }
    struct crn_holder *holder = holder_at(groups, groups->holder_slots[at] - 1);
    holder->count++;
    holder->stack_bytes += stack_bytes;
    return groups->holder_of[number] = groups->holder_slots[at];
}

bool crn_groups_suspect(struct crn_groups *groups, const struct crn_suspect *suspect)
{
    if (!crn_span_ensure(&groups->suspects_span, (groups->suspect_count + 1) * sizeof *suspect))
        return false;
    groups->suspects = (struct crn_suspect *)groups->suspects_span.base;
    groups->suspects[groups->suspect_count++] = *suspect;
    return true;
}

void crn_groups_finish(struct crn_groups *groups)
{
    struct crn_mark *mark = groups->mark;
    mark->suspects = groups->suspects;
    mark->suspect_count = groups->suspect_count;
    mark->groups = group_at(groups, 0);
    mark->group_count = groups->group_count;
    mark->holders = holder_at(groups, 0);
    mark->holder_count = groups->holder_count;
    mark->holder_of = groups->holder_of;
    mark->spans[0] = groups->suspects_span;
    mark->spans[1] = groups->groups_span;
    mark->spans[2] = groups->holders_span;
}
