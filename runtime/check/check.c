/*
 * Marks, confirms, reports.  See check.h.
 */
#include "check/check.h"
#include "check/guard.h"
#include "base/switch.h"
#include "base/sys.h"
#include "coro/probe.h"
#include "snap/take.h"
#include "stack/verify.h"

#include <stdio.h>
#include <string.h>

enum { CHECK_STACK_BYTES = 512 * 1024, REPORT_STACK_BYTES = 64 * 1024, LOCK_LIMIT_MS = 200 };

enum { FINISHING = 1, FINISHED = 2, FINISH_LIMIT_S = 30 };

static _Atomic uint32_t end_has_begun, end_has_finished;
static int finishing_tid; /* who reports; to know a signal handler on top of it */
static struct crn_check first_pass,
    last_pass; /* when the end begins, and for what was born since */
static struct crn_draft draft;
static bool draft_is_open;
static uint32_t born_after; /* blocks with at least this birth were made during teardown */
static uint64_t pause_ns, check_ns;
static size_t check_bytes;        /* of the check that took most */
static uint64_t destroyed_before; /* coroutines, when the end began: the states are of then */
static unsigned unseen_threads;
static bool is_asked;     /* the program asked for its last check before its end */
static bool is_settled;   /* and that has been confirmed */
static bool is_described; /* the draft says what process this is */

static struct crn_lock one_at_a_time;

bool crn_checks_begin(int tid, unsigned limit_ms)
{
    return crn_lock_try_for(&one_at_a_time, tid, (uint64_t)limit_ms * 1000000);
}

void crn_checks_end(void)
{
    crn_lock_release(&one_at_a_time);
}

struct crn_draft *crn_process_draft(void)
{
    if (!draft_is_open)
        crn_draft_init(&draft);
    draft_is_open = true;
    return &draft;
}

static void unseen_warn(struct crn_check *check, const struct crn_stopped_list *stopped)
{
    for (unsigned i = 0; i < stopped->unseen && i < CRN_COUNT_OF(stopped->unseen_tids); i++)
        crn_draft_warning(check->draft,
                          "thread %d did not stop within %d ms; its stack counts as live",
                          stopped->unseen_tids[i], CRN_STOP_LIMIT_MS);
    check->unseen = stopped->unseen;
}

/* The part that reads the program's memory. */
struct picture {
    struct crn_check *check;
    const struct crn_stopped_list *stopped;
    struct crn_taker taker;
    bool is_torn;
    enum crn_status status;
};

static void picture_mark(void *argument)
{
    struct picture *picture = argument;
    struct crn_check *check = picture->check;
    picture->status = crn_snap_take(&check->snap, picture->stopped, &picture->taker,
                                    &check->occasion, check->birth_from, picture->is_torn);
    if (picture->status == CRN_OK)
        picture->status = crn_mark_run(&check->mark, &check->snap);
    if (picture->status != CRN_OK)
        return;
    crn_leaks_collect(&check->leaks, &check->mark, check->draft, check->lists_all);
    crn_findings_find(&check->findings, &check->mark, check->only_new);
}

/* Coroutines that were never destroyed, though their frames are gone; said once of each. */
static void gone_say(void)
{
    enum { LINES_MAX = 20 };
    static uint32_t said;
    if (crn_probes.gone_count == 0)
        return;
    struct crn_probes_gone gone = crn_probes_bury_locked();
    if (gone.freed_count > 0 && said++ < LINES_MAX)
        crn_log("coroner_co_destroy was not called before the frame was freed: of %u coroutines, "
                "\"%s\" among them",
                gone.freed_count, gone.freed_name != NULL ? gone.freed_name : "?");
    if (gone.replaced_count > 0 && said++ < LINES_MAX)
        crn_log("coroner_co_begin: another coroutine began in the frame of one that was not "
                "destroyed: of %u, \"%s\" among them",
                gone.replaced_count, gone.replaced_name != NULL ? gone.replaced_name : "?");
}

/* The registries must stand still, too; in this order. */
static struct crn_lock *const registries[] = {&crn_coros.lock, &crn_probes.lock, &crn_scopes.lock};

static unsigned registries_lock(int tid)
{
    unsigned count = 0;
    while (count < CRN_COUNT_OF(registries) &&
           crn_lock_try_for(registries[count], tid, (uint64_t)LOCK_LIMIT_MS * 1000000))
        count++;
    return count;
}

static void check_do(void *argument, const struct crn_saved_registers *registers)
{
    struct crn_check *check = argument;
    struct crn_stopped_list stopped;
    uint64_t began = crn_now_ns();
    uintptr_t fault = 0;

    unsigned locked = registries_lock(crn_sys_gettid());
    bool is_torn = locked < CRN_COUNT_OF(registries);
    uint64_t stopping = crn_now_ns();
    crn_threads_stop(&stopped);
    unseen_warn(check, &stopped);
    if (check->registers != NULL)
        registers = check->registers;
    struct picture picture = {check, &stopped, {registers, check->interrupted}, is_torn, CRN_OK};
    if (!crn_guarded_call(picture_mark, &picture, &fault))
        crn_draft_warning(check->draft,
                          "memory at 0x%lx went away during the check; there is no verdict",
                          (unsigned long)fault);
    else if (picture.status != CRN_OK)
        crn_draft_warning(check->draft, "%s; there is no verdict",
                          picture.status == CRN_ERR_NO_MEMORY ? "there was no memory for the check"
                                                              : "the memory map could not be read");
    else
        check->is_done = true;
    crn_threads_resume();
    check->pause_ns = crn_now_ns() - stopping;
    if (!is_torn)
        gone_say();
    while (locked > 0)
        crn_lock_release(registries[--locked]);
    if (is_torn)
        crn_draft_warning(check->draft,
                          "the coroutine registry was in use; coroutines count as live");
    if (crn_tree.is_folded)
        crn_draft_warning(check->draft,
                          "stacks took more than an eighth of the heap: recursion is folded in the "
                          "later ones (--fold-recursion=no keeps every frame)");
    check->check_ns = crn_now_ns() - began;
}

void crn_check_perform(struct crn_check *check)
{
    struct crn_thread *self = crn_host.thread();
    size_t used_before = crn_vm_used_bytes();
    crn_vm_peak_reset();
    void *stack = crn_vm_map(CHECK_STACK_BYTES);
    if (stack == NULL)
        crn_draft_warning(check->draft, "there was no memory for the check; there is no verdict");
    if (self == NULL || stack == NULL)
        return;
    uint32_t was_busy = self->is_busy;
    self->is_busy = 1;
    crn_heap_counts_flush(&crn_heap, &self->counts);
    crn_stack_call(check_do, check, (char *)stack + CHECK_STACK_BYTES);
    self->is_busy = was_busy;
    check->own_bytes = crn_vm_peak_bytes() - used_before;
    crn_vm_unmap(stack, CHECK_STACK_BYTES);
}

void crn_check_free(struct crn_check *check)
{
    if (check->is_done)
        crn_mark_free(&check->mark);
    crn_snap_free(&check->snap);
}

/* A check of the end: it counts for the report. */
struct end_check {
    struct crn_check *check;
    uint32_t birth_from;
    const ucontext_t *interrupted;
};

static void end_check_do(void *argument, const struct crn_saved_registers *registers)
{
    const struct end_check *end = argument;
    struct crn_check *check = end->check;
    memset(check, 0, sizeof *check);
    check->draft = &draft;
    check->occasion.is_end = true;
    check->birth_from = end->birth_from;
    check->interrupted = end->interrupted;
    check->registers = registers;
    check->lists_all = crn_host.options->coroutines && check == &first_pass;
    check->only_new = true;
    crn_check_perform(check);
    check->registers = NULL;
    pause_ns += check->pause_ns;
    check_ns += check->check_ns;
    check_bytes = check->own_bytes > check_bytes ? check->own_bytes : check_bytes;
    unseen_threads += check->unseen;
}

/*
 * On a stack of its own from here on: what our frames happen to find on the program's, left there
 * by popped ones, would else count as held.
 */
static void end_check(struct end_check end)
{
    char *stack = crn_vm_map(REPORT_STACK_BYTES);
    if (stack == NULL)
        return;
    crn_stack_call(end_check_do, &end, stack + REPORT_STACK_BYTES);
    crn_vm_unmap(stack, REPORT_STACK_BYTES);
}

static bool has_seen(const struct crn_block *block, void *user)
{
    if (crn_record_birth(block->record) < *(const uint32_t *)user)
        return true;
    *(uint32_t *)user = UINT32_MAX;
    return false;
}

/* Is any block alive that was born at or after `birth`?  Spares a forked child the whole check. */
static bool any_born_since(uint32_t birth)
{
    if (crn_heap.outside.used)
        return true;
    crn_index_for_each(&crn_heap.index, crn_heap.region.next, has_seen, &birth);
    return birth == UINT32_MAX;
}

/* Whether there is something to say at the end, be it only why we stood down. */
static bool is_watching(void)
{
    return crn_host.phase() != CRN_HOST_COMES_UP && !crn_host.process->is_silenced;
}

/* Why there is no check at the end; NULL: there is one. */
static const char *check_obstacle(void)
{
    if (!crn_host.options->detect_leaks)
        return "leak detection is turned off";
    return crn_host.options->leak_check_at_exit || is_asked ? NULL : "leak_check_at_exit is off";
}

static void begin_alone(const ucontext_t *interrupted, const struct crn_saved_registers *registers)
{
    crn_process_draft();
    born_after = crn_heap_line_draw(&crn_heap);
    if (crn_host.phase() == CRN_HOST_WATCHES && check_obstacle() == NULL &&
        (!crn_host.process->is_forked || any_born_since(crn_heap.birth_line))) {
        struct end_check end = {&first_pass, crn_heap.birth_line, interrupted};
        end_check_do(&end, registers);
        destroyed_before = crn_coros.destroyed + crn_probes.destroyed;
        for (size_t i = 0; i < first_pass.findings.count; i++)
            crn_finding_draft(&draft, &first_pass.mark, &first_pass.findings.rows[i]);
    }
}

/* A check that another thread asked for is let to its own end before. */
static void begin_do(void *argument, const struct crn_saved_registers *registers)
{
    enum { CHECK_LIMIT_MS = 1000 };
    bool is_alone = crn_checks_begin(crn_sys_gettid(), CHECK_LIMIT_MS);
    begin_alone(argument, registers);
    if (is_alone)
        crn_checks_end();
}

/* The first part of the end, on a stack of its own: see end_check. */
static void begin(const ucontext_t *interrupted)
{
    uint32_t expected = 0;
    if (!is_watching() ||
        !atomic_compare_exchange_strong_explicit(&end_has_begun, &expected, 1, memory_order_acq_rel,
                                                 memory_order_relaxed))
        return;
    char *stack = crn_vm_map(REPORT_STACK_BYTES);
    if (stack == NULL)
        return;
    crn_stack_call(begin_do, (void *)(uintptr_t)interrupted, stack + REPORT_STACK_BYTES);
    crn_vm_unmap(stack, REPORT_STACK_BYTES);
}

void crn_end_begin(int exit_code)
{
    (void)exit_code;
    begin(NULL);
}

void crn_end_after_fork(void)
{
    end_has_begun = end_has_finished = 0;
    crn_lock_init(&one_at_a_time);
    is_asked = is_settled = is_described = false;
    if (first_pass.is_done)
        memset(&first_pass, 0, sizeof first_pass); /* the parent's; the copy is small */
    memset(&last_pass, 0, sizeof last_pass);
    memset(&draft, 0, sizeof draft);
    draft_is_open = false;
    pause_ns = check_ns = check_bytes = 0;
    unseen_threads = 0;
}

static void process_fill(int exit_code, int exit_signal)
{
    struct crn_record_process *process = &draft.process;
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        const struct crn_heap_counts *counts = &crn_thread_at(i)->counts;
        process->allocations += counts->allocations;
        process->frees += counts->frees;
    }
    process->allocations += crn_heap.allocations;
    process->frees += crn_heap.frees;
    process->peak_bytes = (uint64_t)(crn_heap.peak_bytes > 0 ? crn_heap.peak_bytes : 0);
    process->flags = (first_pass.is_done || crn_host.process->is_forked ? CRN_PROCESS_CHECKED : 0) |
                     (crn_host.process->is_first ? CRN_PROCESS_FIRST : 0) |
                     (crn_host.process->is_forked ? CRN_PROCESS_FORKED : 0);
    process->exit_code = exit_signal != 0 ? -1 : exit_code;
    process->exit_signal = exit_signal;
    process->started_unix_ns = crn_host.process->started_unix_ns;
    process->duration_ns = crn_now_ns() - crn_host.process->started_ns;
    process->unseen_threads = unseen_threads;
    process->check_pause_ns = pause_ns;
    process->check_ns = check_ns;
    process->check_bytes = check_bytes;
    process->coroutines[CRN_CORO_DESTROYED] = destroyed_before;
    process->coroutines_seen = 0;
    for (unsigned i = 0; i < CRN_CORO_STATE_COUNT; i++)
        process->coroutines_seen += process->coroutines[i];
    if (!first_pass.is_done && !crn_host.process->is_forked)
        process->coroutines_seen = crn_coros.seen + crn_probes.seen;
    if (process->peak_bytes < process->live_bytes)
        process->peak_bytes = process->live_bytes;
    if (check_obstacle() != NULL) {
        process->flags &= ~(uint32_t)CRN_PROCESS_CHECKED;
        crn_draft_warning(&draft, "not checked: %s", check_obstacle());
    }
    if (crn_host.process->trouble != NULL) {
        process->flags = (process->flags & ~(uint32_t)CRN_PROCESS_CHECKED) | CRN_PROCESS_INCOMPLETE;
        crn_draft_warning(&draft, "Coroner stood down: %s", crn_host.process->trouble);
    }
}

/* Adds what process this is, once. */
static void draft_describe(void)
{
    if (!is_described) {
        crn_draft_self(&draft);
        crn_host.describe(&draft);
    }
    is_described = true;
}

/* Writes the recording of a check while the program goes on; false: it cannot be. */
static bool check_write(struct crn_check *check, char *path, size_t path_bytes)
{
    static _Atomic uint32_t number;
    const char *place = crn_host.temporary();
    snprintf(path, path_bytes, "%s/coroner-%d.%u.crn", place != NULL ? place : "/tmp",
             crn_host.process->pid, number++);
    crn_draft_self(check->draft);
    crn_host.describe(check->draft);
    check->draft->process.flags |= CRN_PROCESS_CHECKED;
    check->draft->process.exit_code = -1;
    check->draft->process.check_pause_ns = check->pause_ns;
    check->draft->process.check_ns = check->check_ns;
    check->draft->process.check_bytes = check->own_bytes;
    check->draft->process.duration_ns = crn_now_ns() - crn_host.process->started_ns;
    return crn_draft_write(check->draft, path) == 0;
}

void crn_check_render(struct crn_check *check)
{
    char path[4096];
    if (!check_write(check, path, sizeof path) || !crn_host.deliver_text(path))
        crn_log("the report of a check could not be printed");
    crn_syscall3(SYS_unlinkat, -100, path, 0);
}

/* Whether a draft has a leak that counts, as far as that shows without names and suppressions. */
static bool has_leak(const struct crn_draft *of)
{
    const struct crn_draft_section *leaks = &of->sections[CRN_SECTION_LEAKS];
    for (size_t i = 0; i < leaks->count; i++)
        if (((const struct crn_record_leak *)leaks->rows)[i].confidence == CRN_PROVEN ||
            crn_host.options->strict)
            return true;
    return false;
}

bool crn_check_judge(struct crn_check *check)
{
    char path[4096];
    if (!has_leak(check->draft))
        return false;
    bool is_bad =
        check_write(check, path, sizeof path) ? crn_host.deliver_judged(path, true, true) : true;
    crn_syscall3(SYS_unlinkat, -100, path, 0);
    return is_bad;
}

/* Where the recording goes: into the launcher's session, else beside nobody's feet. */
static bool recording_write(char *path, size_t path_bytes)
{
    static const char *const places[] = {NULL, "/tmp", "/var/tmp", "."};
    if (crn_host.process->session != NULL) {
        for (unsigned n = 0; n < 64; n++) {
            snprintf(path, path_bytes, "%s/%d.%u.crn", crn_host.process->session,
                     crn_host.process->pid, n);
            if (crn_syscall3(SYS_faccessat, -100, path, 0) == 0)
                continue; /* what this process was before it called exec */
            if (crn_draft_write(&draft, path) == 0)
                return true;
            break; /* the launcher has gone: render it ourselves */
        }
    }
    for (unsigned i = 0; i < CRN_COUNT_OF(places); i++) {
        const char *place = i == 0 ? crn_host.temporary() : places[i];
        if (place == NULL)
            continue;
        snprintf(path, path_bytes, "%s/coroner-%d.crn", place, crn_host.process->pid);
        if (crn_draft_write(&draft, path) == 0)
            return false;
    }
    path[0] = 0;
    return false;
}

/* The exit code as far as we can tell without names, hence without suppressions. */
static int leak_code(int exit_code)
{
    return has_leak(&draft) && crn_host.options->error_exitcode != 0
               ? (int)crn_host.options->error_exitcode
               : exit_code;
}

/* Writing and rendering need buffers that a coroutine's or a signal stack has no room for. */
struct ending {
    int exit_code, exit_signal;
    int code; /* to exit with */
};

static void report_do(void *argument, const struct crn_saved_registers *registers)
{
    struct ending *ending = argument;
    char path[4096];
    (void)registers;
    draft_describe();
    process_fill(ending->exit_code, ending->exit_signal);
    bool is_launchers = recording_write(path, sizeof path);
    bool has_news = draft.sections[CRN_SECTION_LEAKS].count > 0 ||
                    (crn_host.process->is_first && check_obstacle() == NULL) ||
                    crn_host.options->output[0] != 0;
    int code = ending->exit_code;
    if (path[0] == 0)
        crn_log("the recording could not be written anywhere; there is no report");
    else if (!is_launchers)
        code = crn_host.deliver(path, ending->exit_code, leak_code(ending->exit_code), has_news);
    if (crn_host.process->is_first && !is_launchers)
        ending->code = code;
}

static void first_pass_confirm(void)
{
    uint64_t confirming = crn_now_ns();
    if (first_pass.is_done)
        crn_leaks_confirm(&first_pass.leaks, &draft, born_after, true);
    check_ns += crn_now_ns() - confirming;
}

static int finish(int exit_code, int exit_signal)
{
    uint32_t expected = 0;
    if (end_has_begun == 0 || !is_watching() || crn_sys_getpid() != crn_host.process->pid)
        return exit_code;
    if (!atomic_compare_exchange_strong_explicit(&end_has_finished, &expected, FINISHING,
                                                 memory_order_acq_rel, memory_order_relaxed)) {
        /* Another thread is at it, and the process must not end under its hands. */
        if (finishing_tid != crn_sys_gettid())
            crn_futex_wait(&end_has_finished, FINISHING, (uint64_t)FINISH_LIMIT_S * 1000000000u);
        return exit_code;
    }
    finishing_tid = crn_sys_gettid();
    if (check_obstacle() != NULL && !crn_host.process->is_first &&
        draft.sections[CRN_SECTION_FINDINGS].count == 0)
        return exit_code;
    if (!is_settled)
        first_pass_confirm();
    if (first_pass.is_done && !is_settled && any_born_since(born_after)) {
        end_check((struct end_check){&last_pass, born_after, NULL});
        if (last_pass.is_done)
            crn_leaks_confirm(&last_pass.leaks, &draft, UINT32_MAX, false);
    }
    draft.process.coroutines_resurrected = crn_coros.resurrected + crn_probes.resurrected;
    struct ending ending = {exit_code, exit_signal, exit_code};
    char *stack = crn_vm_map(REPORT_STACK_BYTES);
    if (stack == NULL) {
        crn_log("there was no memory for the check; there is no report");
        return exit_code;
    }
    crn_stack_call(report_do, &ending, stack + REPORT_STACK_BYTES);
    crn_vm_unmap(stack, REPORT_STACK_BYTES);
    end_has_finished = FINISHED;
    crn_futex_wake_all(&end_has_finished);
    return ending.code;
}

static void now_judge(void *argument, const struct crn_saved_registers *registers)
{
    const char *place = crn_host.temporary();
    char path[4096];
    (void)registers;
    if (!has_leak(&draft))
        return;
    snprintf(path, sizeof path, "%s/coroner-%d.end.crn", place != NULL ? place : "/tmp",
             crn_host.process->pid);
    draft_describe();
    process_fill(-1, 0);
    *(bool *)argument =
        crn_draft_write(&draft, path) == 0 ? crn_host.deliver_judged(path, false, true) : true;
    crn_syscall3(SYS_unlinkat, -100, path, 0);
}

bool crn_end_now(void)
{
    bool is_bad = false;
    struct crn_thread *self = crn_host.thread();
    char *stack = crn_vm_map(REPORT_STACK_BYTES);
    if (stack == NULL || self == NULL || end_has_begun != 0)
        return false;
    is_asked = true;
    begin(NULL);
    if (first_pass.is_done && !is_settled) {
        self->is_busy = 1;
        first_pass_confirm();
        is_settled = true;
        crn_check_free(&first_pass);
        crn_stack_call(now_judge, &is_bad, stack + REPORT_STACK_BYTES);
        self->is_busy = 0;
    }
    crn_vm_unmap(stack, REPORT_STACK_BYTES);
    return is_bad;
}

int crn_end_finish(int exit_code)
{
    crn_end_begin(exit_code); /* exit() from inside libc, say of the last thread */
    crn_verify_end(crn_host.options->verify_output);
    return finish(exit_code, 0);
}

void crn_end_by_signal(int signal, const ucontext_t *interrupted)
{
    begin(interrupted);
    crn_verify_end(crn_host.options->verify_output);
    int code = finish(-1, signal);
    if (code >= 0)
        crn_syscall1(SYS_exit_group, code);
}
