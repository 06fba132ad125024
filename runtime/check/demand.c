/*
 * Checks on demand.  See demand.h.
 *
 * What is found of coroutines and objects also goes to the process's report, once.  Leaks do not:
 * those that are still there at the end are found again.
 */
#include "check/demand.h"
#include "check/end.h"
#include "check/host.h"
#include "check/limits.h"
#include "check/recording.h"
#include "base/switch.h"
#include "base/sys.h"
#include "coro/probe.h"

#include <string.h>

/* How long a check waits for another; one that answers for a program has it rendered meanwhile. */
enum { CHECK_LIMIT_MS = 1000, JUDGED_LIMIT_MS = 60000, STACK_BYTES = 256 * 1024 };

/* As the last check counted them; guarded by crn_checks_begin. */
static uint64_t live_blocks, live_bytes;

void crn_demand_after_fork(void)
{
    live_blocks = live_bytes = 0;
}

struct demand {
    struct crn_occasion occasion;
    enum crn_demand_report report;
    bool is_judged;
    struct crn_thread *self;
    struct crn_demand_summary summary;
    bool is_bad; /* judged: there is a leak that counts */
    const struct crn_saved_registers *from; /* NULL: not known */
};

/*
 * What a thread keeps of its last check, in a mapping of its own: thread->check.  The mapping stays
 * with the record when that is another thread's; what is in it does not count any more.
 */
struct results {
    size_t count, mapped_bytes;
    uint64_t serial; /* of the thread that asked */
    struct crn_demand_entry entries[];
};

void crn_demand_forget(struct crn_thread *thread)
{
    struct results *results = thread->check;
    if (results != NULL)
        results->count = 0;
}

static size_t results_count(const struct crn_thread *thread)
{
    const struct results *results = thread->check;
    return results != NULL && results->serial == thread->serial ? results->count : 0;
}

/* Room for so many entries, none of which counts yet; NULL: there is no memory. */
static struct results *results_make(struct crn_thread *self, size_t room)
{
    struct results *old = self->check, *fresh;
    if (old != NULL)
        crn_vm_unmap(old, old->mapped_bytes);
    size_t bytes = sizeof *fresh + room * sizeof fresh->entries[0];
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    self->check = fresh = crn_vm_map(bytes);
    if (fresh != NULL) {
        fresh->mapped_bytes = bytes;
        fresh->serial = self->serial;
    }
    return fresh;
}

static const char *coro_name(const struct crn_snap *snap, uint32_t number)
{
    if (number == 0 || number > snap->coro_count || snap->coros[number - 1].probe == 0)
        return NULL;
    return crn_probe_at(snap->coros[number - 1].probe)->name;
}

static void leak_enter(struct crn_demand_entry *entry, const struct crn_mark *mark,
                       const struct crn_group *group)
{
    const struct crn_snap_local *local = crn_local_find(mark->snap, group->example_word);
    *entry = (struct crn_demand_entry){
        .is_leak = true,
        .verdict = group->verdict,
        .is_proven = group->confidence == CRN_PROVEN,
        .coroutine = coro_name(mark->snap, group->example_coro),
        .local = local != NULL ? local->name : NULL,
        .why = crn_group_why(mark, group),
        .address = group->example,
        .blocks = group->blocks + group->indirect_blocks,
        .bytes = group->bytes + group->indirect_bytes,
    };
}

static void finding_enter(struct crn_demand_entry *entry, const struct crn_check_finding *finding)
{
    *entry = (struct crn_demand_entry){
        .finding = finding->kind,
        .is_proven = true,
        .coroutine = finding->name,
        .why = finding->why,
        .address = finding->object,
        .blocks = finding->object != 0,
        .bytes = finding->object_bytes,
    };
}

static void summary_fill(struct crn_demand_summary *summary, const struct crn_check *check,
                         size_t entries)
{
    *summary = (struct crn_demand_summary){.entries = entries, .pause_ns = check->pause_ns};
    for (size_t i = 0; i < check->mark.group_count; i++) {
        const struct crn_group *group = &check->mark.groups[i];
        size_t blocks = group->blocks + group->indirect_blocks;
        size_t bytes = group->bytes + group->indirect_bytes;
        summary->leaked_blocks += blocks;
        summary->leaked_bytes += bytes;
        if (group->confidence != CRN_PROVEN) {
            summary->likely_blocks += blocks;
            summary->likely_bytes += bytes;
        } else {
            summary->proven += blocks;
        }
    }
    summary->proven += check->findings.count;
}

static void results_take(struct demand *demand, struct crn_check *check)
{
    struct crn_mark *mark = &check->mark;
    struct results *results =
        results_make(demand->self, mark->group_count + check->findings.count);
    struct crn_demand_entry *entries = results != NULL ? results->entries : NULL;
    size_t count = 0;
    crn_leaks_confirm(&check->leaks, check->draft, UINT64_MAX, true);
    for (size_t i = 0; i < mark->group_count && entries != NULL; i++)
        if (mark->groups[i].blocks + mark->groups[i].indirect_blocks > 0)
            leak_enter(&entries[count++], mark, &mark->groups[i]);
    for (size_t i = 0; i < check->findings.count && entries != NULL; i++) {
        crn_finding_draft(check->draft, mark, &check->findings.rows[i]);
        finding_enter(&entries[count++], &check->findings.rows[i]);
    }
    if (results != NULL)
        results->count = count;
    summary_fill(&demand->summary, check, count);
}

/* What no earlier check said of coroutines and objects, for the report of the process. */
static void news_keep(struct crn_check *check)
{
    struct crn_check_findings news;
    crn_findings_find(&news, &check->mark, true);
    for (size_t i = 0; i < news.count; i++)
        crn_finding_draft(crn_process_draft(), &check->mark, &news.rows[i]);
}

/* Writes the recording of a check while the program goes on; false: it cannot be. */
static bool check_write(struct crn_check *check, char *path, size_t path_bytes)
{
    struct crn_record_process *process = &check->draft->process;
    crn_recording_describe(check->draft);
    process->flags |= CRN_PROCESS_CHECKED;
    process->exit_code = -1;
    process->check_kind = check->occasion.scope != 0 ? CRN_CHECK_SCOPE : CRN_CHECK_DEMAND;
    process->check_number = check->number;
    process->check_pause_ns = check->pause_ns;
    process->check_ns = check->check_ns;
    process->check_bytes = check->own_bytes;
    process->duration_ns = crn_now_ns() - crn_host.process->started_ns;
    return crn_recording_write_passing(check->draft, path, path_bytes);
}

/* Has a check that was performed rendered to standard error. */
static void check_render(struct crn_check *check)
{
    char path[4096];
    if (!check_write(check, path, sizeof path) || !crn_host.deliver_text(path))
        crn_log("the report of a check could not be printed");
    crn_recording_remove(path);
}

/* Has it rendered where --output says, if it found a leak that counts; answers whether it did. */
static bool check_judge(struct crn_check *check)
{
    char path[4096];
    if (!crn_recording_has_leak(check->draft))
        return false;
    bool is_bad =
        check_write(check, path, sizeof path) ? crn_host.deliver_judged(path, true, true) : true;
    crn_recording_remove(path);
    return is_bad;
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
    /* Those here are ours, on a stack that is not the program's. */
    check->registers = demand->from != NULL ? demand->from : registers;
    check->occasion = demand->occasion;
    check->birth_from = crn_heap.birth_line;
    crn_check_perform(check);
    if (check->is_done) {
        results_take(demand, check);
        live_blocks = draft.process.live_blocks;
        live_bytes = draft.process.live_bytes;
        news_keep(check);
        if (demand->is_judged)
            demand->is_bad = check_judge(check);
        bool must_say = demand->report == CRN_REPORT_ANY ||
                        (demand->report == CRN_REPORT_PROVEN && demand->summary.proven > 0);
        if (must_say && results_count(demand->self) > 0)
            check_render(check);
    }
    crn_check_free(check);
    crn_draft_free(&draft);
    crn_vm_unmap(check, sizeof *check);
}

/* False: there was no check. */
static bool demand_perform(struct demand *demand, unsigned limit_ms)
{
    struct crn_thread *self = demand->self = crn_host.thread();
    if (self == NULL || self->is_busy || crn_host.phase() != CRN_HOST_WATCHES ||
        !crn_host.options->detect_leaks || !crn_checks_begin(self->tid, limit_ms))
        return false;
    crn_demand_forget(self);
    crn_busy_begin(self);
    struct crn_limits limits;
    crn_limits_lift(&limits);
    bool is_done = crn_stack_call_mapped(demand_do, demand, STACK_BYTES);
    crn_limits_restore(&limits);
    crn_busy_end(self);
    crn_checks_end();
    return is_done;
}

size_t crn_check_on_demand(struct crn_occasion occasion, enum crn_demand_report report,
                           struct crn_demand_summary *summary,
                           const struct crn_saved_registers *from)
{
    struct demand demand = {.occasion = occasion, .report = report, .from = from};
    bool is_done = demand_perform(&demand, CHECK_LIMIT_MS);
    if (summary != NULL)
        *summary = demand.summary;
    return is_done ? results_count(demand.self) : 0;
}

bool crn_check_judged(const struct crn_saved_registers *from)
{
    struct demand demand = {.is_judged = true, .from = from};
    demand_perform(&demand, JUDGED_LIMIT_MS);
    return demand.is_bad;
}

void crn_check_live_count(size_t *blocks, size_t *bytes)
{
    *blocks = live_blocks;
    *bytes = live_bytes;
}

bool crn_demand_entry_read(size_t index, struct crn_demand_entry *entry)
{
    const struct crn_thread *self = crn_self;
    if (self == NULL || index >= results_count(self))
        return false;
    *entry = ((const struct results *)self->check)->entries[index];
    return true;
}
