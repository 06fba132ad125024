/*
 * Checks on demand.  See on_demand.h.
 *
 * What is found of coroutines and objects also goes to the process's report, once.  Leaks do not:
 * those that are still there at the end are found again.
 */
#include "shim/on_demand.h"
#include "base/switch.h"
#include "base/sys.h"
#include "coro/probe.h"

#include <stdlib.h>
#include <string.h>

/* How long a check waits for another; one that answers for a program has it rendered meanwhile. */
enum { LOCK_LIMIT_MS = 1000, JUDGED_LIMIT_MS = 60000, STACK_BYTES = 256 * 1024 };

/* As the last check counted them; guarded by crn_checks_begin. */
static uint64_t live_blocks, live_bytes;

struct demand {
    struct crn_occasion occasion;
    unsigned flags;
    struct coroner_summary *summary;
    struct crn_thread *self;
    size_t proven;
    bool is_bad; /* CRN_CHECK_JUDGED: there is a leak that counts */
};

static const char *const verdict_words[CRN_VERDICT_COUNT] = {"live",      "stale",     "completed",
                                                             "cancelled", "abandoned", "lost"};

/* The list of entries that a thread reads; it owns its mapping. */
static struct coroner_finding *entries_make(struct crn_thread *self, size_t count)
{
    if (self->findings != NULL)
        crn_vm_unmap(self->findings, self->findings_bytes);
    self->findings_count = 0;
    self->findings_bytes = crn_align_up((count + 1) * sizeof(struct coroner_finding), CRN_PAGE_BYTES);
    self->findings = crn_vm_map(self->findings_bytes);
    return self->findings;
}

static const char *coro_name(const struct crn_snap *snap, uint32_t number)
{
    if (number == 0 || number > snap->coro_count || snap->coros[number - 1].probe == 0)
        return NULL;
    return crn_probe_at(snap->coros[number - 1].probe)->name;
}

static void leak_enter(struct coroner_finding *entry, const struct crn_mark *mark,
                       const struct crn_group *group)
{
    const struct crn_snap_local *local = crn_local_find(mark->snap, group->example_word);
    *entry = (struct coroner_finding){
        .kind = CORONER_LEAK,
        .verdict = verdict_words[group->verdict],
        .is_proven = group->confidence == CRN_PROVEN,
        .coroutine = coro_name(mark->snap, group->example_coro),
        .local = local != NULL ? local->name : NULL,
        .why = crn_group_why(mark, group),
        .address = (const void *)group->example,
        .blocks = group->blocks + group->indirect_blocks,
        .bytes = group->bytes + group->indirect_bytes,
    };
}

static void found_enter(struct coroner_finding *entry, const struct crn_found *found)
{
    static const enum coroner_finding_kind kinds[CRN_FINDING_COUNT] = {
        [CRN_FINDING_OUTLIVED] = CORONER_OUTLIVED,
        [CRN_FINDING_ZOMBIE] = CORONER_ZOMBIE,
        [CRN_FINDING_SWALLOWED] = CORONER_SWALLOWED,
        [CRN_FINDING_NO_CANCEL_HOOK] = CORONER_NO_CANCEL_HOOK,
        [CRN_FINDING_UNFINISHED_WATCH] = CORONER_UNFINISHED_WATCH,
    };
    *entry = (struct coroner_finding){
        .kind = kinds[found->kind],
        .is_proven = 1,
        .coroutine = found->name,
        .why = found->why,
        .address = (const void *)found->object,
        .blocks = found->object != 0,
        .bytes = found->object_bytes,
    };
}

static void summary_fill(struct demand *demand, const struct crn_check *check, size_t entries)
{
    struct coroner_summary summary = {.findings = entries, .pause_ns = check->pause_ns};
    for (size_t i = 0; i < check->mark.group_count; i++) {
        const struct crn_group *group = &check->mark.groups[i];
        size_t blocks = group->blocks + group->indirect_blocks;
        size_t bytes = group->bytes + group->indirect_bytes;
        summary.leaked_blocks += blocks;
        summary.leaked_bytes += bytes;
        if (group->confidence != CRN_PROVEN) {
            summary.likely_blocks += blocks;
            summary.likely_bytes += bytes;
        } else {
            demand->proven += blocks;
        }
    }
    demand->proven += check->founds.count;
    if (demand->summary != NULL)
        *demand->summary = summary;
}

static void results_take(struct demand *demand, struct crn_check *check)
{
    struct crn_mark *mark = &check->mark;
    struct coroner_finding *entries =
        entries_make(demand->self, mark->group_count + check->founds.count);
    size_t count = 0;
    crn_findings_confirm(&check->findings, check->draft, UINT32_MAX, true);
    for (size_t i = 0; i < mark->group_count && entries != NULL; i++)
        if (mark->groups[i].blocks + mark->groups[i].indirect_blocks > 0)
            leak_enter(&entries[count++], mark, &mark->groups[i]);
    for (size_t i = 0; i < check->founds.count && entries != NULL; i++) {
        crn_found_draft(check->draft, mark, &check->founds.rows[i]);
        found_enter(&entries[count++], &check->founds.rows[i]);
    }
    demand->self->findings_count = count;
    summary_fill(demand, check, count);
}

/* What no earlier check said of coroutines and objects, for the report of the process. */
static void news_keep(struct crn_check *check)
{
    struct crn_founds news;
    crn_founds_find(&news, &check->mark, true);
    for (size_t i = 0; i < news.count; i++)
        crn_found_draft(crn_process_draft(), &check->mark, &news.rows[i]);
}

static void demand_do(void *argument, const struct crn_saved_registers *registers)
{
    struct demand *demand = argument;
    struct crn_draft draft;
    struct crn_check *check = crn_vm_map(sizeof *check);
    if (check == NULL)
        return;
    crn_draft_init(&draft);
    check->draft = &draft;
    check->registers = registers; /* those here are ours, on a stack that is not the program's */
    check->occasion = demand->occasion;
    check->birth_from = crn_heap.birth_line;
    crn_check_perform(check);
    if (check->is_done) {
        results_take(demand, check);
        live_blocks = draft.process.live_blocks;
        live_bytes = draft.process.live_bytes;
        news_keep(check);
        if ((demand->flags & CRN_CHECK_JUDGED) != 0)
            demand->is_bad = crn_check_judge(check);
        bool must_say = (demand->flags & CORONER_REPORT) != 0 ||
                        ((demand->flags & CORONER_ABORT) != 0 && demand->proven > 0);
        if (must_say && demand->self->findings_count > 0)
            crn_check_render(check);
    }
    crn_check_free(check);
    crn_draft_free(&draft);
    crn_vm_unmap(check, sizeof *check);
}

size_t crn_check_on_demand(struct crn_occasion occasion, unsigned flags,
                           struct coroner_summary *summary)
{
    struct crn_thread *self = crn_shim_thread();
    if (summary != NULL)
        memset(summary, 0, sizeof *summary);
    if (self == NULL || self->is_busy || crn_shim.phase != CRN_SHIM_ON ||
        !crn_shim.options.detect_leaks)
        return 0;
    if (!crn_checks_begin(self->tid,
                          (flags & CRN_CHECK_JUDGED) != 0 ? JUDGED_LIMIT_MS : LOCK_LIMIT_MS))
        return 0;
    struct demand demand = {occasion, flags, summary, self, 0, false};
    char *stack = crn_vm_map(STACK_BYTES);
    self->findings_count = 0;
    if (stack != NULL) {
        self->is_busy = 1;
        crn_stack_call(demand_do, &demand, stack + STACK_BYTES);
        self->is_busy = 0;
        crn_vm_unmap(stack, STACK_BYTES);
    }
    crn_checks_end();
    if ((flags & CORONER_ABORT) != 0 && demand.proven > 0)
        abort();
    return (flags & CRN_CHECK_JUDGED) != 0 ? demand.is_bad : self->findings_count;
}

void crn_check_live_count(size_t *blocks, size_t *bytes)
{
    *blocks = live_blocks;
    *bytes = live_bytes;
}

bool crn_finding_read(size_t index, struct coroner_finding *finding)
{
    const struct crn_thread *self = crn_self;
    if (self == NULL || self->findings == NULL || index >= self->findings_count)
        return false;
    *finding = ((struct coroner_finding *)self->findings)[index];
    return true;
}
