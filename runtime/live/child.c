/*
 * Judges in a copy of the process.  See child.h.
 *
 * It is in the program's process group, and dies of what is sent to that: no handler of the program's
 * runs in it.  It takes no processor from whoever wakes up (SCHED_BATCH), and is the first to be killed
 * when memory runs out.  Nor does it wait longer than that: while it lives, what the program writes is
 * copied.  (With nice 5, on two processors with ten hungry processes, it took 25 s instead of 7.)
 */
#include "live/child.h"
#include "live/supply.h"
#include "base/held.h"
#include "base/pages.h"
#include "base/switch.h"
#include "base/sys.h"
#include "check/check.h"
#include "check/guard.h"
#include "check/host.h"
#include "check/limits.h"
#include "check/memory.h"
#include "check/recording.h"
#include "coro/probe.h"
#include "snap/take.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>


enum { STACK_BYTES = 512 * 1024 };

static void handlers_reset(void)
{
    const struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } standard = {.handler = SIG_DFL}; /* the kernel's struct sigaction */
    for (int signal = 1; signal <= CRN_STOP_SIGNAL; signal++)
        crn_syscall4(SYS_rt_sigaction, signal, &standard, NULL, 8);
}

static void manners_take(void)
{
    static const char first[] = "1000"; /* of oom_score_adj: before everybody else */
    const uint64_t none = 0;
    handlers_reset();
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none);
    const struct sched_param plain = {.sched_priority = 0};
    crn_syscall3(SYS_sched_setscheduler, 0, SCHED_BATCH, &plain);
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/oom_score_adj",
                               O_WRONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        crn_sys_write_all(fd, first, sizeof first - 1);
        crn_syscall1(SYS_close, fd);
    }
    crn_syscall2(SYS_prctl, PR_SET_NAME, "coroner-check");
}

static void line_fill(struct crn_live_job *job, struct crn_draft *draft, struct crn_check *check)
{
    struct crn_live_shared *shared = job->shared;
    int pagemap = crn_proc_open("thread-self/pagemap");
    shared->copied_bytes = crn_copied_bytes(pagemap);
    if (pagemap >= 0)
        crn_proc_close(pagemap);
    crn_recording_describe(draft);
    draft->process.pid = (uint32_t)crn_host.process->pid;
    draft->process.parent_pid = (uint32_t)job->parent_pid;
    crn_recording_fill(draft, &(struct crn_recording_facts){
                                  .exit_code = -1,
                                  .has_verdict = check->is_done,
                                  .pause_ns = shared->pause_ns,
                                  .check_ns = crn_now_ns() - job->began_ns,
                                  .check_bytes = check->own_bytes,
                                  .unseen_threads = check->unseen,
                                  .coros_destroyed = crn_coros.destroyed + crn_probes.destroyed,
                              });
    draft->process.check_kind = CRN_CHECK_LIVE;
    draft->process.check_number = job->number;
    draft->process.predicted_pause_ns = job->request.predicted_pause_ns;
    draft->process.copied_bytes = shared->copied_bytes;
    draft->process.coroutines_resurrected = crn_coros.resurrected + crn_probes.resurrected;
}

static void answer(struct crn_live_job *job, struct crn_draft *draft)
{
    size_t bytes;
    char *image = crn_draft_image(draft, &bytes);
    static const char no_memory[] = "there was no memory for the recording";
    while (!crn_live_line_take(job->shared, CRN_LINE_CHILD))
        crn_syscall0(SYS_sched_yield);
    if (image == NULL)
        crn_line_send(&job->line, CRN_ASK_REFUSED, no_memory, sizeof no_memory - 1);
    else if (crn_line_send(&job->line, CRN_ASK_RECORDING, image, bytes))
        job->shared->has_answered = 1;
}

static void memory_add(struct crn_draft *draft, bool lists_all)
{
    struct crn_supply supply;
    struct crn_memory_limit limit;
    crn_supply_find(&supply);
    crn_supply_limit(&supply, &limit.limit_bytes, &limit.left_bytes);
    crn_memory_add(draft, lists_all, limit);
}

static void judge(void *argument, const struct crn_saved_registers *registers)
{
    struct crn_live_job *job = argument;
    struct crn_draft draft;
    struct crn_check *check = crn_vm_map(sizeof *check);
    const struct crn_taker taker = {.beforehand = job->beforehand};
    size_t used_before = crn_vm_used_bytes();
    (void)registers;
    if (check == NULL)
        return;
    crn_vm_peak_reset();
    crn_draft_init(&draft);
    *check = (struct crn_check){
        .draft = &draft,
        .birth_from = crn_heap.birth_line,
        .lists_all = (job->request.flags & CRN_ASK_COROUTINES) != 0,
        .sums_live = (job->request.flags & CRN_ASK_LIVE) != 0,
    };
    crn_beforehand_settle(job->beforehand);
    crn_check_judge(check, &job->stopped, &taker, job->is_torn);
    if (check->is_done) {
        for (size_t i = 0; i < check->findings.count; i++)
            crn_finding_draft(&draft, &check->mark, &check->findings.rows[i]);
        check->leaks.lists_objects = true;
        crn_leaks_confirm(&check->leaks, &draft, UINT64_MAX, true);
    }
    check->own_bytes = crn_vm_peak_bytes() - used_before;
    if (check->is_done && check->sums_live)
        memory_add(&draft, check->lists_all);
    line_fill(job, &draft, check);
    answer(job, &draft);
}

void crn_live_child(struct crn_live_job *job)
{
    struct crn_limits limits;
    manners_take();
    crn_subject_set(crn_host.process->pid);
    crn_check_locks_forget();
    crn_limits_lift(&limits);
    crn_guard_alone();
    crn_pages_stand_still();
    if (!crn_stack_call_mapped(judge, job, STACK_BYTES)) {
        static const char no_memory[] = "there was no memory for the check";
        crn_line_send(&job->line, CRN_ASK_REFUSED, no_memory, sizeof no_memory - 1);
    }
    for (;;)
        crn_syscall1(SYS_exit_group, 0);
}
