/*
 * From a mark to rows of the recording.  See findings.h.
 */
#include "shim/findings.h"
#include "shim/coro_rows.h"
#include "shim/found.h"
#include "shim/state.h"
#include "coro/coro.h"
#include "mark/why.h"
#include "coro/probe.h"

#include <string.h>

enum { CHAINS_MAX = 1024 };

/* Where in its stack or frame a word of a coroutine lies; 0: elsewhere. */
static uint64_t offset_in_coro(const struct crn_snap *snap, uint32_t number, uintptr_t address)
{
    if (number < snap->coro_count) {
        const struct crn_snap_coro *coro = &snap->coros[number];
        uintptr_t in_stack = address - coro->stack_start;
        return in_stack < coro->stack_end - coro->stack_start ? in_stack : 0;
    }
    const struct crn_snap_frame *frame = &snap->frames[number - snap->coro_count];
    return address > frame->start + frame->offset ? address - frame->start - frame->offset : 0;
}

static void chain_link_add(struct crn_findings *findings, struct crn_draft *draft, size_t group,
                           struct crn_record_link link)
{
    uint32_t row = crn_draft_link(draft, &link);
    if (findings->group_link_counts[group]++ == 0)
        findings->group_links[group] = row;
}

/* The name of the local that lies at an address of a coroutine; 0: none is named there. */
static uint32_t local_name(struct crn_draft *draft, const struct crn_snap *snap, uintptr_t address)
{
    const struct crn_snap_local *local = crn_local_find(snap, address);
    return local != NULL && local->name != NULL ? crn_draft_string(draft, local->name) : 0;
}

struct crn_record_link crn_step_link(struct crn_draft *draft, const struct crn_mark *mark,
                                     const struct crn_chain_step *step)
{
    const struct crn_snap *snap = mark->snap;
    struct crn_record_link link = {.address = step->address};
    if (step->root != 0) {
        const struct crn_root *root = &snap->roots[step->root - 1];
        link.kind = CRN_LINK_ROOT;
        link.root = root->kind;
        link.name = root->name != 0 ? crn_draft_string(draft, snap->names + root->name) : 0;
    } else if (step->coro != 0) {
        link.kind = CRN_LINK_CORO;
        link.coro = crn_link_coro_add(draft, snap, step->coro - 1);
        link.offset = offset_in_coro(snap, step->coro - 1, step->address);
        link.name = local_name(draft, snap, step->address);
    } else {
        struct crn_block block;
        link.kind = CRN_LINK_BLOCK;
        link.offset = step->address - step->block;
        if (crn_index_find(&snap->heap->index, step->block, &block)) {
            link.bytes = block.size;
            link.alloc_node = crn_draft_node(draft, block.record->stack);
        }
    }
    return link;
}

static void step_add(struct crn_findings *findings, struct crn_draft *draft, size_t group,
                     const struct crn_chain_step *step)
{
    chain_link_add(findings, draft, group, crn_step_link(draft, findings->mark, step));
}

/* The end of every chain: the dead coroutine, and the block it holds. */
static void chain_end_add(struct crn_findings *findings, struct crn_draft *draft, size_t index)
{
    const struct crn_mark *mark = findings->mark;
    const struct crn_group *group = &mark->groups[index];
    struct crn_block block = {.size = 0};
    crn_index_find(&mark->snap->heap->index, group->example, &block);
    chain_link_add(findings, draft, index,
                   (struct crn_record_link){
                       .kind = CRN_LINK_CORO,
                       .coro = findings->holder_rows[group->holder - 1],
                       .address = group->example_word,
                       .name = local_name(draft, mark->snap, group->example_word),
                       .offset = offset_in_coro(mark->snap, group->example_coro - 1,
                                                group->example_word)});
    chain_link_add(findings, draft, index,
                   (struct crn_record_link){.kind = CRN_LINK_LEAK,
                                            .address = group->example,
                                            .bytes = block.size,
                                            .alloc_node = crn_draft_node(draft, group->alloc_node)});
}

/* Whether something live leads to what holds it; the chain of an abandoned one starts there. */
static bool has_chain(const struct crn_group *group)
{
    return group->verdict == CRN_VERDICT_COMPLETED || group->verdict == CRN_VERDICT_CANCELLED;
}

static void chains_add(struct crn_findings *findings, struct crn_draft *draft)
{
    struct crn_mark *mark = findings->mark;
    uint32_t *coros = crn_arena_alloc(&mark->arena, CHAINS_MAX * sizeof *coros);
    unsigned *step_counts = crn_arena_alloc(&mark->arena, CHAINS_MAX * sizeof *step_counts);
    struct crn_chain_step(*steps)[CRN_CHAIN_STEPS_MAX] = NULL;
    size_t wanted = 0;
    for (size_t i = 0; i < mark->group_count && wanted < CHAINS_MAX && coros != NULL; i++)
        if (has_chain(&mark->groups[i]))
            coros[wanted++] = mark->groups[i].example_coro - 1;
    if (wanted > 0 && step_counts != NULL &&
        (steps = crn_arena_alloc(&mark->arena, wanted * sizeof *steps)) != NULL)
        crn_mark_trace(mark, coros, wanted, steps, step_counts);
    for (size_t i = 0, traced = 0; i < mark->group_count; i++) {
        if (mark->groups[i].holder == 0)
            continue;
        if (has_chain(&mark->groups[i]) && traced < wanted) {
            for (unsigned step = 0; steps != NULL && step < step_counts[traced]; step++)
                step_add(findings, draft, i, &steps[traced][step]);
            traced++;
        }
        chain_end_add(findings, draft, i);
    }
}

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

void crn_findings_collect(struct crn_findings *findings, struct crn_mark *mark,
                          struct crn_draft *draft, bool lists_all)
{
    memset(findings, 0, sizeof *findings);
    findings->mark = mark;
    findings->holder_rows =
        crn_arena_alloc(&mark->arena, (mark->holder_count + 1) * sizeof(uint32_t));
    findings->group_links =
        crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof(uint32_t));
    findings->group_link_counts =
        crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof(uint32_t));
    if (mark->arena.exhausted)
        return;
    crn_dead_coros_add(draft, mark, findings->holder_rows, lists_all);
    if (lists_all)
        crn_living_coros_add(draft, mark);
    chains_add(findings, draft);
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
    if (group->holder != 0 && mark->holders[group->holder - 1].mechanism == CRN_MECHANISM_CXX20)
        return frame_why(mark, group);
    const char *told = crn_why_by_mechanism(mark, group);
    if (told != NULL)
        return told;
    switch (group->verdict) {
    case CRN_VERDICT_STALE:
        return "only a local that was declared done points to it";
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

/* Where somebody may hold memory and does not tell, the reason says who. */
static const char *why_text(const struct crn_mark *mark, const struct crn_group *group, char *text,
                            size_t text_bytes)
{
    const char *why =
        group->verdict == CRN_VERDICT_LOST ? "nothing we saw points to it" : crn_group_why(mark, group);
    if (mark->snap->unknown_holder == NULL)
        return crn_group_why(mark, group);
    __builtin_snprintf(text, text_bytes, "%s, but %s may hold it", why, mark->snap->unknown_holder);
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

/* Lists the leaked blocks themselves; `rows`: by group, that of its leak + 1, 0: it was dropped. */
static void objects_add(const struct crn_mark *mark, struct crn_draft *draft, const uint32_t *rows,
                        uint32_t born_before)
{
    for (size_t i = 0; i < mark->suspect_count; i++) {
        const struct crn_suspect *suspect = &mark->suspects[i];
        const struct crn_group *group = &mark->groups[suspect->group - 1];
        const struct crn_record_object object = {.address = suspect->start,
                                                 .bytes = suspect->size,
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
        *slot != 0 ? (struct crn_record_sample *)draft->sections[CRN_SECTION_SAMPLES].rows + *slot - 1
                   : NULL;
    if (row != NULL && row->leak == sample.leak && row->node == sample.node &&
        row->bytes == sample.bytes && row->is_indirect == sample.is_indirect && row->blocks < UINT32_MAX) {
        row->blocks++;
        return;
    }
    crn_draft_rows(draft, CRN_SECTION_SAMPLES, &sample, 1);
    *slot = (uint32_t)draft->sections[CRN_SECTION_SAMPLES].count;
}

/* Lists the leaked blocks that have a stack; `rows` as for objects_add. */
static void samples_add(struct crn_mark *mark, struct crn_draft *draft, const uint32_t *rows,
                        uint32_t born_before)
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

void crn_findings_confirm(struct crn_findings *findings, struct crn_draft *draft,
                          uint32_t born_before, bool has_totals)
{
    struct crn_mark *mark = findings->mark;
    uint64_t suspected_blocks = 0, suspected_bytes = 0;
    uint8_t *is_refuted = crn_arena_alloc(&mark->arena, mark->holder_count + 1);
    uint32_t *rows = crn_arena_alloc(&mark->arena, (mark->group_count + 1) * sizeof *rows);
    if (is_refuted == NULL || rows == NULL || findings->group_link_counts == NULL)
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
        const struct crn_record_leak leak = {
            .verdict = group->verdict,
            .confidence = group->confidence,
            .why = crn_draft_string(draft, why_text(mark, group, why, sizeof why)),
            .alloc_node = crn_draft_node(draft, group->alloc_node),
            .coro = group->holder != 0 ? findings->holder_rows[group->holder - 1] : 0,
            .coro_count = group->holder != 0 ? mark->holders[group->holder - 1].count : 0,
            .first_link = findings->group_links[i],
            .link_count = findings->group_link_counts[i],
            .blocks = group->blocks,
            .bytes = group->bytes,
            .indirect_blocks = group->indirect_blocks,
            .indirect_bytes = group->indirect_bytes,
            .retained_bytes = group->bytes + group->indirect_bytes,
            .example = group->example,
        };
        crn_draft_leak(draft, &leak);
        rows[i] = (uint32_t)draft->sections[CRN_SECTION_LEAKS].count;
    }
    if (crn_shim.options.report_objects)
        objects_add(mark, draft, rows, born_before);
    if (crn_shim.options.stacks == CRN_STACKS_SAMPLED) {
        draft->process.sample_bytes = crn_shim.options.sample_bytes;
        samples_add(mark, draft, rows, born_before);
    }
}
