/*
 * From a mark to rows of the recording.  See leaks.h.
 */
#include "check/leaks.h"
#include "check/ages.h"
#include "check/coros.h"
#include "check/host.h"
#include "check/suspects.h"
#include "coro/coro.h"
#include "mark/why.h"
#include "coro/probe.h"

#include <string.h>

/* So that one which runs again after all is noticed. */
static void judged_note(const struct crn_mark *mark)
{
    for (uint32_t i = 0; i < mark->snap->coro_count; i++) {
        const struct crn_snap_coro *coro = &mark->snap->coros[i];
        if (mark->holder_of[i] == 0 ||
            mark->holders[mark->holder_of[i] - 1].state != CRN_CORO_ABANDONED)
            continue;
        if (coro->probe != 0)
            crn_probe_at(coro->probe)->flags |= CRN_PROBE_JUDGED_DEAD;
        else
            crn_coro_at(coro->id)->flags |= CRN_CORO_JUDGED_DEAD;
    }
}

void crn_leaks_collect(struct crn_check_leaks *leaks, struct crn_mark *mark,
                       struct crn_draft *draft, bool lists_all)
{
    memset(leaks, 0, sizeof *leaks);
    leaks->mark = mark;
    leaks->holder_rows = crn_arena_alloc(&mark->arena, (mark->holder_count + 1) * sizeof(uint32_t));
    leaks->chains.first = crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof(uint32_t));
    leaks->chains.counts =
        crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof(uint32_t));
    if (mark->arena.exhausted)
        return;
    crn_dead_coros_add(draft, mark, leaks->holder_rows, lists_all);
    if (lists_all)
        crn_living_coros_add(draft, mark);
    crn_chains_add(&leaks->chains, mark, draft, leaks->holder_rows);
    judged_note(mark);
}

/* Holders of which one has run again since: nothing is claimed of their kind. */
static void refuted_find(struct crn_mark *mark, uint8_t *is_refuted)
{
    if (crn_coros.resurrected + crn_probes.resurrected == 0)
        return;
    for (uint32_t i = 0; i < mark->snap->coro_count; i++) {
        const struct crn_snap_coro *coro = &mark->snap->coros[i];
        if (mark->holder_of[i] == 0)
            continue;
        bool has_run = coro->probe != 0
                           ? (crn_probe_at(coro->probe)->flags & CRN_PROBE_JUDGED_DEAD) == 0 &&
                                 mark->holders[mark->holder_of[i] - 1].state == CRN_CORO_ABANDONED
                           : (crn_coro_at(coro->id)->flags & CRN_CORO_RESURRECTED) != 0;
        if (!has_run)
            continue;
        is_refuted[mark->holder_of[i] - 1] = 1;
        if (mark->coros_in_state[CRN_CORO_ABANDONED] > 0) {
            mark->coros_in_state[CRN_CORO_ABANDONED]--;
            mark->coros_in_state[CRN_CORO_SUSPENDED]++;
        }
    }
}

static const char *frame_why(const struct crn_mark *mark, const struct crn_group *group)
{
    uint32_t frame = group->example_coro - 1 - (uint32_t)mark->snap->coro_count;
    if (group->verdict == CRN_VERDICT_ABANDONED)
        return "its coroutine frame is suspended, and nothing live points to it";
    return mark->frame_fates[frame] == CRN_FRAME_HELD
               ? "its coroutine is at its final suspend point; something live still holds its "
                 "handle"
               : "its coroutine is at its final suspend point, and nothing live points to it";
}

const char *crn_group_why(const struct crn_mark *mark, const struct crn_group *group)
{
    if (group->holder != 0 && group->verdict != CRN_VERDICT_STALE &&
        mark->holders[group->holder - 1].mechanism == CRN_MECHANISM_CXX20)
        return frame_why(mark, group);
    const char *told = crn_why_by_mechanism(mark, group);
    if (told != NULL)
        return told;
    switch (group->verdict) {
    case CRN_VERDICT_STALE:
        return group->place != 0 ? "only a word of a call frame points to it, and the frame's "
                                   "function will not read that again"
                                 : "only a local that was declared done points to it";
    case CRN_VERDICT_CANCELLED:
        return "its coroutine was cancelled and will not run again, and nothing else points to it";
    case CRN_VERDICT_COMPLETED:
        return "its coroutine has run to its end, and nothing else points to it";
    case CRN_VERDICT_ABANDONED:
        return "its coroutine is suspended, and nothing live leads to its stack or saved context";
    default:
        return group->confidence == CRN_PROVEN
                   ? "no memory of the program points to it"
                   : "nothing we saw points to it, but a thread did not stop";
    }
}

static const char *spare_name(const struct crn_mark *mark)
{
    if (!mark->has_rosters)
        return "spare memory of a container";
    return mark->has_spares ? "spare memory of a container, or a list or memory that asio keeps,"
                            : "a list or memory that asio keeps";
}

/* Where somebody may hold memory and does not tell, the reason says who. */
static const char *why_text(const struct crn_mark *mark, const struct crn_group *group, char *text,
                            size_t text_bytes)
{
    const char *why = group->verdict == CRN_VERDICT_LOST ? "nothing we saw points to it"
                                                         : crn_group_why(mark, group);
    const char *holder = crn_snap_unknown_holder(mark->snap);
    if (group->is_bereft)
        return "what held it when the end began were erased elements of a container that is gone";
    if (holder == NULL && group->doubt == CRN_DOUBT_ODD)
        holder = "a pointer at an odd address of live memory";
    if (holder == NULL && group->doubt == CRN_DOUBT_SPARE)
        holder = spare_name(mark);
    if (holder == NULL)
        return crn_group_why(mark, group);
    __builtin_snprintf(text, text_bytes, "%s, but %s may hold it", why, holder);
    return text;
}

static void totals_fill(const struct crn_mark *mark, struct crn_draft *draft, uint64_t blocks,
                        uint64_t bytes)
{
    draft->process.live_blocks = mark->live_blocks - blocks;
    draft->process.live_bytes = mark->live_bytes - bytes;
    memcpy(draft->process.coroutines, mark->coros_in_state, sizeof draft->process.coroutines);
}

bool crn_group_is_asked(const struct crn_mark *mark, const struct crn_group *group,
                        const struct crn_suspect *suspect)
{
    const struct crn_occasion *occasion = &mark->snap->occasion;
    if (crn_owner_is_inside(suspect->record->coro, occasion->scope))
        return true;
    uint32_t coro = group->example_coro;
    if (coro == 0 || coro > mark->snap->coro_count || mark->snap->coros[coro - 1].probe == 0)
        return false;
    return crn_scope_is_inside(crn_probe_at(mark->snap->coros[coro - 1].probe)->scope,
                               occasion->scope);
}

/* More are not listed where nobody wants to read them: they would take 32 MiB. */
enum { OBJECTS_MOST = 1 << 20 };

/* Lists the leaked blocks themselves; `rows`: by group, that of its leak + 1, 0: it was dropped. */
static void objects_add(const struct crn_mark *mark, struct crn_draft *draft, const uint32_t *rows,
                        uint64_t born_before)
{
    for (size_t i = 0; i < mark->suspect_count; i++) {
        const struct crn_suspect *suspect = &mark->suspects[i];
        const struct crn_group *group = &mark->groups[suspect->group - 1];
        const struct crn_record_object object = {.address = suspect->start,
                                                 .bytes = suspect->size,
                                                 .birth = crn_birth_of(&crn_heap, suspect->record),
                                                 .leak = rows[suspect->group - 1] - 1,
                                                 .is_indirect = !suspect->is_direct};
        if (rows[suspect->group - 1] != 0 &&
            crn_suspect_is_still_there(mark, suspect, born_before) &&
            crn_group_is_asked(mark, group, suspect))
            crn_draft_rows(draft, CRN_SECTION_OBJECTS, &object, 1);
    }
}

/* Rows of samples that were added lately, by a hash of what they say: alike ones become one. */
enum { RECENT_SAMPLES = 1024 };

static void sample_add(struct crn_draft *draft, uint32_t *recent, struct crn_record_sample sample)
{
    uint64_t hash = crn_hash64(sample.bytes * 2 + sample.is_indirect) ^
                    crn_hash64((uint64_t)sample.node << 32 | sample.leak);
    uint32_t *slot = &recent[hash % RECENT_SAMPLES];
    struct crn_record_sample *row =
        *slot != 0
            ? (struct crn_record_sample *)draft->sections[CRN_SECTION_SAMPLES].rows + *slot - 1
            : NULL;
    if (row != NULL && row->leak == sample.leak && row->node == sample.node &&
        row->bytes == sample.bytes && row->is_indirect == sample.is_indirect &&
        row->blocks < UINT32_MAX) {
        row->blocks++;
        return;
    }
    crn_draft_rows(draft, CRN_SECTION_SAMPLES, &sample, 1);
    *slot = (uint32_t)draft->sections[CRN_SECTION_SAMPLES].count;
}

/* Lists the leaked blocks that have a stack; `rows` as for objects_add. */
static void samples_add(struct crn_mark *mark, struct crn_draft *draft, const uint32_t *rows,
                        uint64_t born_before)
{
    uint32_t *recent = crn_arena_alloc(&mark->arena, RECENT_SAMPLES * sizeof *recent);
    for (size_t i = 0; i < mark->suspect_count && recent != NULL; i++) {
        const struct crn_suspect *suspect = &mark->suspects[i];
        uint32_t stack = suspect->record->stack;
        if (stack == 0 || rows[suspect->group - 1] == 0 ||
            !crn_suspect_is_still_there(mark, suspect, born_before) ||
            !crn_group_is_asked(mark, &mark->groups[suspect->group - 1], suspect))
            continue;
        sample_add(draft, recent,
                   (struct crn_record_sample){
                       .leak = rows[suspect->group - 1] - 1,
                       .node = crn_draft_node(draft, stack),
                       .bytes = suspect->size,
                       .blocks = 1,
                       .is_indirect = !suspect->is_direct,
                   });
    }
}

/* The row of what holds a stale leak, + 1; 0: no word that was asked about does. */
static uint32_t place_add(const struct crn_mark *mark, struct crn_draft *draft, uint32_t place)
{
    if (place == 0)
        return 0;
    const struct crn_stale_place *found = &mark->places[place - 1];
    const struct crn_record_place row = {
        .pc = found->pc,
        .written_at = found->written_at,
        .offset = found->offset,
        .bp_offset = found->bp_offset,
        .flags = (found->is_register ? CRN_PLACE_IS_REGISTER : 0) |
                 (found->is_return_address ? 0 : CRN_PLACE_IS_EXACT),
        .reg = found->reg,
    };
    return crn_draft_rows(draft, CRN_SECTION_PLACES, &row, 1) + 1;
}

void crn_leaks_confirm(struct crn_check_leaks *leaks, struct crn_draft *draft, uint64_t born_before,
                       bool has_totals)
{
    struct crn_mark *mark = leaks->mark;
    uint64_t suspected_blocks = 0, suspected_bytes = 0;
    uint8_t *is_refuted = crn_arena_alloc(&mark->arena, mark->holder_count + 1);
    uint32_t *rows = crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof *rows);
    struct crn_ages *ages = crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof *ages);
    if (is_refuted == NULL || rows == NULL || ages == NULL || leaks->chains.counts == NULL)
        return;
    refuted_find(mark, is_refuted);
    for (size_t i = 0; i < mark->suspect_count; i++) {
        const struct crn_suspect *suspect = &mark->suspects[i];
        struct crn_group *group = &mark->groups[suspect->group - 1];
        suspected_blocks++;
        suspected_bytes += suspect->size;
        if (!crn_suspect_is_still_there(mark, suspect, born_before) ||
            !crn_group_is_asked(mark, group, suspect))
            continue;
        if (suspect->is_direct) {
            group->blocks++;
            group->bytes += suspect->size;
            crn_ages_note(&ages[suspect->group - 1],
                          crn_birth_of(mark->snap->heap, suspect->record));
        } else {
            group->indirect_blocks++;
            group->indirect_bytes += suspect->size;
        }
    }
    if (has_totals)
        totals_fill(mark, draft, suspected_blocks, suspected_bytes);
    for (size_t i = 0; i < mark->group_count; i++) {
        const struct crn_group *group = &mark->groups[i];
        if (group->blocks == 0 || (group->holder != 0 && is_refuted[group->holder - 1]))
            continue;
        char why[256];
        struct crn_record_leak leak = {
            .verdict = group->verdict,
            .confidence = group->confidence,
            .why = crn_draft_string(draft, why_text(mark, group, why, sizeof why)),
            .alloc_node = crn_draft_node(draft, group->alloc_node),
            .coro = group->holder != 0 ? leaks->holder_rows[group->holder - 1] : 0,
            .coro_count = group->holder != 0 ? mark->holders[group->holder - 1].count : 0,
            .first_link = leaks->chains.first[i],
            .link_count = leaks->chains.counts[i],
            .blocks = group->blocks,
            .bytes = group->bytes,
            .indirect_blocks = group->indirect_blocks,
            .indirect_bytes = group->indirect_bytes,
            .retained_bytes = group->bytes + group->indirect_bytes,
            .example = group->example,
            .place = place_add(mark, draft, group->place),
            .ages = crn_ages_get(&ages[i], mark->snap->heap),
        };
        crn_draft_leak(draft, &leak);
        rows[i] = (uint32_t)draft->sections[CRN_SECTION_LEAKS].count;
    }
    if (crn_host.options->report_objects ||
        (leaks->lists_objects && suspected_blocks <= OBJECTS_MOST))
        objects_add(mark, draft, rows, born_before);
    if (crn_host.options->stacks == CRN_STACKS_SAMPLED) {
        draft->process.sample_bytes = crn_host.options->sample_bytes;
        samples_add(mark, draft, rows, born_before);
    }
}
