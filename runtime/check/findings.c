/*
 * Findings.  See findings.h.
 */
#include "check/findings.h"
#include "check/chains.h"
#include "check/coros.h"
#include "check/host.h"
#include "base/sys.h"
#include "coro/probe.h"
#include "mark/reach.h"

#include <string.h>

enum { FINDINGS_MAX = 512 };

static const char *const why_of[CRN_FINDING_COUNT] = {
    [CRN_FINDING_OUTLIVED] = "the scope that launched it has ended, and it lives on",
    [CRN_FINDING_ZOMBIE] = "it was cancelled, and runs on",
    [CRN_FINDING_SWALLOWED] = "it was told of its cancellation, and suspended again",
    [CRN_FINDING_NO_CANCEL_HOOK] =
        "it was cancelled while it waited for something that no hook ends",
};

static const char *scope_name(uint32_t scope)
{
    return scope != 0 ? crn_scope_at(scope)->name : NULL;
}

/* Adds to the row of the same kind, coroutine name and scope, or makes one. */
static struct crn_check_finding *finding_add(struct crn_check_findings *findings,
                                             struct crn_check_finding like)
{
    for (size_t i = 0; i < findings->count; i++) {
        struct crn_check_finding *finding = &findings->rows[i];
        if (finding->kind == like.kind && finding->name == like.name &&
            finding->scope == like.scope && finding->object == 0 && like.object == 0) {
            finding->count += like.count;
            return finding;
        }
    }
    if (findings->count == FINDINGS_MAX)
        return NULL;
    findings->rows[findings->count] = like;
    return &findings->rows[findings->count++];
}

/* The biggest block of the ended scope that a coroutine's frame points to. */
struct captive_search {
    const struct crn_mark *mark;
    uintptr_t start;
    size_t bytes;
};

static void captive_try(struct captive_search *search, uintptr_t word)
{
    struct crn_block block;
    const struct crn_snap *snap = search->mark->snap;
    if (crn_index_find(&snap->heap->index, word & (((uintptr_t)1 << 48) - 1), &block) &&
        block.size > search->bytes &&
        crn_owner_is_inside(block.record->coro, snap->occasion.scope)) {
        search->start = block.start;
        search->bytes = block.size;
    }
}

static bool is_of_scope(const struct crn_record *record, void *user)
{
    return crn_owner_is_inside(record->coro, *(const uint32_t *)user);
}

static void captive_find(struct crn_mark *mark, uint32_t index, struct crn_check_finding *finding)
{
    const struct crn_snap *snap = mark->snap;
    const struct crn_snap_coro *coro = &snap->coros[index];
    struct captive_search search = {mark, 0, 0};
    for (uintptr_t at = crn_align_up(coro->body_start, 8); at + 8 <= coro->body_end; at += 8) {
        uintptr_t word;
        if (crn_memory_read(&word, at, sizeof word))
            captive_try(&search, word);
    }
    for (size_t i = 0; i < snap->local_count; i++) {
        uintptr_t word;
        if (snap->locals[i].coro == index &&
            crn_memory_read(&word, snap->locals[i].slot, sizeof word))
            captive_try(&search, word);
    }
    finding->object = search.start;
    finding->object_bytes = search.bytes;
    uint32_t scope = snap->occasion.scope;
    if (search.start != 0)
        finding->object_retained = crn_mark_reach_bytes(mark, search.start, is_of_scope, &scope);
}

/* Which kinds of findings one coroutine gives, as a mask. */
static unsigned kinds_of(const struct crn_mark *mark, uint32_t index)
{
    const struct crn_snap *snap = mark->snap;
    const struct crn_snap_coro *coro = &snap->coros[index];
    const struct crn_probe *probe = crn_probe_at(coro->probe);
    bool is_cancelled = probe->is_cancelled;
    bool is_running = probe->state == CRN_CORO_RUNNING;
    bool is_alive =
        is_running || probe->state == CRN_CORO_CREATED || probe->state == CRN_CORO_SUSPENDED;
    bool ends =
        (snap->occasion.is_scope_end && crn_scope_is_inside(probe->scope, snap->occasion.scope)) ||
        (probe->scope_handle != 0 && crn_scope_number(probe->scope_handle) == 0);
    /* Who ends the scope itself cannot have ended before. */
    if (is_running && crn_self != NULL && probe->tid == crn_self->tid &&
        snap->occasion.is_scope_end)
        return probe->swallowed > 0 ? 1u << CRN_FINDING_SWALLOWED : 0;
    uint64_t grace_ns = (uint64_t)crn_host.options->cancel_grace_ms * 1000000;
    unsigned kinds = 0;
    if (is_running && is_cancelled && (ends || crn_now_ns() - probe->cancelled_ns >= grace_ns))
        kinds |= 1u << CRN_FINDING_ZOMBIE;
    if (probe->swallowed > 0)
        kinds |= 1u << CRN_FINDING_SWALLOWED;
    if (is_cancelled && (probe->flags & CRN_PROBE_NO_HOOK) != 0 &&
        probe->state == CRN_CORO_SUSPENDED)
        kinds |= 1u << CRN_FINDING_NO_CANCEL_HOOK;
    if (ends && is_alive && !is_cancelled && mark->coro_reached[index] &&
        (probe->flags & (CRN_PROBE_RETIRED | CRN_PROBE_IS_DETACHED)) == 0)
        kinds |= 1u << CRN_FINDING_OUTLIVED;
    return kinds;
}

static void coro_look(struct crn_check_findings *findings, struct crn_mark *mark, uint32_t index,
                      bool only_new)
{
    const struct crn_snap_coro *coro = &mark->snap->coros[index];
    struct crn_probe *probe = crn_probe_at(coro->probe);
    bool is_parents = probe->born < crn_heap.birth_line; /* this process was forked: it tells */
    if (is_parents || (mark->snap->occasion.scope != 0 &&
                       !crn_scope_is_inside(probe->scope, mark->snap->occasion.scope)))
        return;
    unsigned kinds = kinds_of(mark, index);
    if (only_new)
        kinds &= ~(unsigned)probe->reported;
    for (unsigned kind = 0; kind < CRN_FINDING_COUNT; kind++) {
        if ((kinds >> kind & 1) == 0)
            continue;
        struct crn_check_finding like = {
            .kind = kind,
            .coro = index + 1,
            .probe = coro->probe,
            .count = kind == CRN_FINDING_SWALLOWED ? probe->swallowed : 1,
            .node = kind == CRN_FINDING_ZOMBIE ? coro->running_node : 0,
            .name = probe->name,
            .scope = scope_name(probe->scope),
            .why = why_of[kind]};
        struct crn_check_finding *finding = finding_add(findings, like);
        if (finding != NULL && kind == CRN_FINDING_OUTLIVED && finding->count == 1)
            captive_find(mark, index, finding);
        if (only_new)
            probe->reported |= (uint8_t)(1u << kind);
    }
}

static void watch_look(struct crn_check_findings *findings, struct crn_mark *mark,
                       const struct crn_snap_watch *watch, bool only_new)
{
    struct crn_block block;
    bool is_direct;
    struct crn_watch *row = (struct crn_watch *)crn_probes.watches.base + watch->row;
    bool is_parents = row->born < crn_heap.birth_line;
    if (is_parents || (only_new && row->is_reported) ||
        (mark->snap->occasion.scope != 0 &&
         !crn_scope_is_inside(watch->scope, mark->snap->occasion.scope)) ||
        !crn_index_find(&mark->snap->heap->index, watch->object, &block) ||
        crn_mark_verdict(mark, watch->object, &is_direct) != CRN_VERDICT_LIVE ||
        findings->count == FINDINGS_MAX)
        return;
    struct crn_check_finding *finding = &findings->rows[findings->count++];
    *finding = (struct crn_check_finding){.kind = CRN_FINDING_UNFINISHED_WATCH,
                                          .count = 1,
                                          .scope = scope_name(watch->scope),
                                          .why = watch->why,
                                          .object = block.start,
                                          .object_bytes = block.size,
                                          .node = block.record->stack};
    finding->step_count = crn_mark_trace_block(mark, watch->object, finding->steps);
    if (only_new)
        row->is_reported = 1;
}

void crn_findings_find(struct crn_check_findings *findings, struct crn_mark *mark, bool only_new)
{
    const struct crn_snap *snap = mark->snap;
    memset(findings, 0, sizeof *findings);
    if (crn_probes.made <= 1 && snap->watch_count == 0)
        return;
    findings->rows = crn_arena_alloc(&mark->arena, FINDINGS_MAX * sizeof *findings->rows);
    if (findings->rows == NULL)
        return;
    for (uint32_t i = 0; i < snap->coro_count; i++)
        if (snap->coros[i].probe != 0)
            coro_look(findings, mark, i, only_new);
    struct crn_swallower *gone = (struct crn_swallower *)crn_probes.swallowers.base;
    for (uint32_t i = 0; i < crn_probes.swallower_count; i++)
        finding_add(findings, (struct crn_check_finding){.kind = CRN_FINDING_SWALLOWED,
                                                         .count = gone[i].count,
                                                         .name = gone[i].name,
                                                         .scope = gone[i].scope,
                                                         .why = why_of[CRN_FINDING_SWALLOWED]});
    if (only_new)
        crn_probes.swallower_count = 0;
    for (size_t i = 0; i < snap->watch_count; i++)
        watch_look(findings, mark, &snap->watches[i], only_new);
}

/* The coroutine of a finding: one of the picture, or only a name. */
static uint32_t coro_row_of(struct crn_draft *draft, const struct crn_mark *mark,
                            const struct crn_check_finding *finding)
{
    if (finding->coro != 0)
        return crn_link_coro_add(draft, mark->snap, finding->coro - 1);
    if (finding->name == NULL)
        return 0;
    const struct crn_record_coro row = {.mechanism = CRN_MECHANISM_PROBE,
                                        .state = CRN_CORO_COMPLETED,
                                        .name = crn_draft_string(draft, finding->name),
                                        .touched_bytes = UINT64_MAX,
                                        .retained_bytes = UINT64_MAX};
    return crn_draft_coro(draft, &row) + 1;
}

void crn_finding_draft(struct crn_draft *draft, struct crn_mark *mark,
                       const struct crn_check_finding *finding)
{
    struct crn_record_finding row = {
        .kind = finding->kind,
        .coro = coro_row_of(draft, mark, finding),
        .scope = finding->scope != NULL ? crn_draft_string(draft, finding->scope) : 0,
        .why = crn_draft_string(draft, finding->why != NULL ? finding->why : ""),
        .node = crn_draft_node(draft, finding->node),
        .count = finding->count,
        .object = finding->object,
        .object_bytes = finding->object_bytes,
        .object_retained = finding->object_retained,
    };
    for (unsigned i = 0; i < finding->step_count; i++) {
        struct crn_record_link link = crn_step_link(draft, mark, &finding->steps[i]);
        uint32_t at = crn_draft_link(draft, &link);
        if (row.link_count++ == 0)
            row.first_link = at;
    }
    if (finding->kind == CRN_FINDING_UNFINISHED_WATCH && finding->step_count > 0) {
        const struct crn_record_link end = {.kind = CRN_LINK_LEAK,
                                            .address = finding->object,
                                            .bytes = finding->object_bytes,
                                            .alloc_node = row.node};
        crn_draft_link(draft, &end);
        row.link_count++;
    }
    crn_draft_rows(draft, CRN_SECTION_FINDINGS, &row, 1);
}
