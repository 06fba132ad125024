/*
 * The protocol of the end.  See end.h.
 */
#include "check/end.h"
#include "check/check.h"
#include "check/hold.h"
#include "check/host.h"
#include "check/limits.h"
#include "check/recording.h"
#include "base/switch.h"
#include "base/sys.h"
#include "coro/probe.h"
#include "snap/registers.h"
#include "snap/stop.h"
#include "stack/verify.h"

#include <string.h>

enum { STACK_BYTES = 64 * 1024 };

/* Both halves of the end are under way, and then over; and how long a second thread waits. */
enum { UNDER_WAY = 1, OVER = 2, WAIT_LIMIT_S = 30 };

/* All that an end leaves behind.  A forked child forgets it as a whole: its end has not begun. */
static struct {
    _Atomic uint32_t beginning, finishing; /* 0, UNDER_WAY, OVER */
    int beginning_tid;                     /* who began it, */
    struct crn_saved_registers from;       /* from where in the program; rsp 0: not known */
    ucontext_t left;                       /* those, as a context */
    const ucontext_t *interrupted;         /* or with a signal, on top of this */
    int finishing_tid;                     /* who reports; to know a signal handler on top */
    int forced_code;                       /* what leaks make of the exit code; 0: nothing */
    struct crn_clocks clocks;              /* of the program, while they stand still */
    struct crn_check first_pass;           /* when the end begins */
    struct crn_check last_pass;            /* of what was born since */
    struct crn_draft draft;
    bool draft_is_open;
    uint64_t born_after; /* blocks with at least this birth were made during teardown */
    uint64_t pause_ns, check_ns;
    size_t check_bytes;        /* of the check that took most */
    uint64_t destroyed_before; /* coroutines, when the end began: the states are of then */
    unsigned unseen_threads;
    bool is_alone;     /* no other thread checks while this one finishes */
    bool tears_down;   /* handlers and destructors run between the two parts */
    bool has_tried;    /* to check; without a verdict there is a reason to tell */
    bool is_asked;     /* the program asked for its last check before its end */
    bool is_settled;   /* and that has been confirmed */
    bool is_described; /* the draft says what process this is */
} end;

void crn_end_after_fork(void)
{
    /* Before any of that it is as it was; and what a child writes to it must copy. */
    if (end.beginning != 0 || end.is_asked || end.draft_is_open)
        end = (__typeof__(end)){0};
}

struct crn_draft *crn_process_draft(void)
{
    if (!end.draft_is_open)
        crn_draft_init(&end.draft);
    end.draft_is_open = true;
    return &end.draft;
}

/* One check of the end. */
struct pass {
    struct crn_check *check;
    uint64_t birth_from;
    const struct crn_mark *earlier; /* of the second, that judges what lost its holder since */
};

static void pass_do(void *argument, const struct crn_saved_registers *registers)
{
    const struct pass *pass = argument;
    struct crn_check *check = pass->check;
    bool is_known = end.from.rsp != 0 && end.beginning_tid == crn_sys_gettid();
    *check = (struct crn_check){
        .draft = &end.draft,
        .occasion.is_end = true,
        .birth_from = pass->birth_from,
        .earlier = pass->earlier,
        .line = end.born_after,
        .finds_spares = check == &end.first_pass && end.tears_down,
        .interrupted = end.interrupted,
        .registers = is_known ? &end.from : registers,
        .lists_all = crn_host.options->coroutines && check == &end.first_pass,
        .sums_live = crn_host.options->live && check == &end.first_pass,
        .only_new = true,
    };
    crn_check_perform(check);
    check->registers = NULL;
    end.pause_ns += check->pause_ns;
    end.check_ns += check->check_ns;
    if (end.check_bytes < check->own_bytes)
        end.check_bytes = check->own_bytes;
    end.unseen_threads += check->unseen;
}

static bool has_seen(const struct crn_block *block, void *user)
{
    if (crn_birth_of(&crn_heap, block->record) < *(const uint64_t *)user)
        return true;
    *(uint64_t *)user = UINT64_MAX;
    return false;
}

/* Is any block alive that was born at or after `birth`?  Spares a forked child the whole check. */
static bool any_born_since(uint64_t birth)
{
    if (crn_heap.young.is_open)
        return crn_young_any_since(&crn_heap, birth, crn_sys_gettid());
    if (crn_heap.outside.used)
        return true;
    crn_index_for_each(&crn_heap.index, crn_heap.region.next, has_seen, &birth);
    return birth == UINT64_MAX;
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
    return crn_host.options->leak_check_at_exit || end.is_asked ? NULL
                                                                : "leak_check_at_exit is off";
}

static void begin_alone(const struct crn_saved_registers *registers)
{
    crn_process_draft();
    end.born_after = crn_heap_line_draw(&crn_heap);
    if (crn_host.phase() != CRN_HOST_WATCHES || check_obstacle() != NULL ||
        (crn_host.process->is_forked && !any_born_since(crn_heap.birth_line)))
        return;
    struct pass pass = {&end.first_pass, crn_heap.birth_line, NULL};
    end.has_tried = true;
    pass_do(&pass, registers);
    end.destroyed_before = crn_coros.destroyed + crn_probes.destroyed;
    for (size_t i = 0; i < end.first_pass.findings.count; i++)
        crn_finding_draft(&end.draft, &end.first_pass.mark, &end.first_pass.findings.rows[i]);
}

/* A check that another thread asked for is let to its own end before. */
static void begin_do(void *argument, const struct crn_saved_registers *registers)
{
    enum { CHECK_LIMIT_MS = 1000 };
    bool is_alone = crn_checks_begin(crn_sys_gettid(), CHECK_LIMIT_MS);
    (void)argument;
    crn_clocks_stop(&end.clocks);
    begin_alone(registers);
    crn_clocks_go_on(&end.clocks);
    if (is_alone)
        crn_checks_end();
}

/* Waits while another thread is at this half of the end. */
static void half_await(_Atomic uint32_t *half)
{
    uint64_t deadline = crn_now_ns() + (uint64_t)WAIT_LIMIT_S * 1000000000u;
    for (uint64_t now; *half == UNDER_WAY && (now = crn_now_ns()) < deadline;)
        crn_futex_wait(half, UNDER_WAY, deadline - now);
}

static void half_complete(_Atomic uint32_t *half)
{
    *half = OVER;
    crn_futex_wake_all(half);
}

/*
 * The host may let time pass.  Whoever checks from outside meanwhile sees this thread where the
 * program ended, as the mark will.  On the caller's stack: on another one our signal would find the
 * signal stack free, below a handler that ends the process.
 */
static void begin_tell(void)
{
    struct crn_thread *self = crn_host.thread();
    const ucontext_t *ended = end.interrupted;
    if (ended == NULL && end.from.rsp != 0) {
        crn_registers_make(&end.left, &end.from);
        ended = &end.left;
    }
    if (self != NULL)
        self->stands_at = ended;
    crn_host.end_begins();
    if (self != NULL)
        self->stands_at = NULL;
}

/*
 * Whether nobody would read what this process has to say.  Most forked children have nothing: they
 * end as fast as they can.  (A launcher counts them, and a file that was asked for names them.)
 */
static bool is_silent(void)
{
    const char *output = crn_host.options->output;
    const struct crn_draft_section *sections = end.draft.sections;
    bool is_asked_for = output[0] != 0 && strcmp(output, "/dev/null") != 0;
    return crn_host.process->is_forked && !crn_host.process->is_first &&
           crn_host.process->session == NULL && !is_asked_for &&
           crn_host.process->trouble == NULL && !end.has_tried &&
           sections[CRN_SECTION_LEAKS].count + sections[CRN_SECTION_FINDINGS].count == 0;
}

/*
 * Whether the end of such a process has nothing to do from its beginning on.  Most forked children
 * are so: even the stack for a check would be a large part of what they cost.
 */
static bool is_idle(void)
{
    return is_silent() && !end.is_asked && crn_heap.young.is_open &&
           !any_born_since(crn_heap.birth_line);
}

static void begin_here(void)
{
    struct crn_limits limits;
    crn_limits_lift(&limits);
    crn_stack_call_mapped(begin_do, NULL, STACK_BYTES);
    crn_limits_restore(&limits);
}

/*
 * The first part of the end, on a stack of its own from here on: words that returned functions left
 * on the program's would lie in gaps of our frames and be scanned as live.
 */
static void begin(const struct crn_saved_registers *from, const ucontext_t *interrupted)
{
    uint32_t expected = 0;
    if (!is_watching())
        return;
    uint64_t mask_before = crn_signals_hold(); /* or one could find us in the middle */
    if (atomic_compare_exchange_strong(&end.beginning, &expected, UNDER_WAY)) {
        end.beginning_tid = crn_sys_gettid();
        end.interrupted = interrupted;
        if (from != NULL)
            end.from = *from;
        if (!end.is_asked) /* then the program goes on */
            begin_tell();
        if (!is_idle())
            begin_here();
        half_complete(&end.beginning);
    }
    crn_signals_let(mask_before);
    if (end.beginning_tid != crn_sys_gettid())
        half_await(&end.beginning);
}

void crn_end_begin(const struct crn_saved_registers *from)
{
    if (end.beginning == 0)
        end.tears_down = true;
    begin(from, NULL);
}

static void describe(void)
{
    if (!end.is_described)
        crn_recording_describe(&end.draft);
    end.is_described = true;
}

static void facts_fill(int exit_code, int exit_signal)
{
    crn_recording_fill(&end.draft, &(struct crn_recording_facts){
                                       .exit_code = exit_code,
                                       .exit_signal = exit_signal,
                                       .obstacle = check_obstacle(),
                                       .has_verdict = end.first_pass.is_done,
                                       .has_failed = end.has_tried && !end.first_pass.is_done,
                                       .pause_ns = end.pause_ns,
                                       .check_ns = end.check_ns,
                                       .check_bytes = end.check_bytes,
                                       .unseen_threads = end.unseen_threads,
                                       .coros_destroyed = end.destroyed_before,
                                       .check_number = end.first_pass.number,
                                   });
}

/* The exit code as far as we can tell without names, hence without suppressions. */
static int leak_code(int exit_code)
{
    return crn_recording_has_leak(&end.draft) && crn_host.options->error_exitcode != 0
               ? (int)crn_host.options->error_exitcode
               : exit_code;
}

/* Writing and rendering need buffers that a coroutine's or a signal stack has no room for. */
struct ending {
    int exit_code, exit_signal;
    int code; /* to exit with */
};

/* Whether a report would say that nothing was lost, and how long that took, and no more. */
static bool is_clean(void)
{
    const struct crn_draft_section *sections = end.draft.sections;
    const struct crn_record_process *process = &end.draft.process;
    return crn_host.process->is_first && end.first_pass.is_done &&
           (process->flags & CRN_PROCESS_CHECKED) != 0 && process->check_ns > 0 &&
           sections[CRN_SECTION_LEAKS].count + sections[CRN_SECTION_FINDINGS].count +
                   sections[CRN_SECTION_WARNINGS].count ==
               0 &&
           process->coroutines_seen + process->coroutines_resurrected + process->double_frees +
                   process->unseen_threads ==
               0 &&
           !end.draft.is_partial;
}

/*
 * Without a launcher, and with nothing to tell that needs names: whether that is all.  What is in
 * the draft says so, so nothing is written, and nothing started.
 */
static bool is_settled_here(bool has_news)
{
    if (crn_host.process->session != NULL)
        return false;
    return !has_news || (is_clean() && crn_host.say_clean(&end.draft));
}

static void report_do(void *argument, const struct crn_saved_registers *registers)
{
    struct ending *ending = argument;
    struct crn_stopped_list stopped;
    char path[4096];
    (void)registers;
    facts_fill(ending->exit_code, ending->exit_signal);
    if (end.is_alone)
        crn_threads_stop(&stopped);
    bool has_news = end.draft.sections[CRN_SECTION_LEAKS].count > 0 ||
                    (crn_host.process->is_first && check_obstacle() == NULL) ||
                    (end.has_tried && !end.first_pass.is_done) || crn_host.options->output[0] != 0;
    int code = ending->exit_code;
    if (!is_settled_here(has_news)) {
        describe();
        if (crn_recording_write(&end.draft, path, sizeof path) != CRN_RECORDED_LAUNCHER)
            code = crn_host.deliver(path, &end.draft, ending->exit_code,
                                    leak_code(ending->exit_code), has_news);
    }
    if (crn_host.process->is_first)
        ending->code = code;
    if (end.is_alone)
        crn_threads_resume();
}

static void first_pass_confirm(void)
{
    uint64_t confirming = crn_now_ns();
    if (end.first_pass.is_done)
        crn_leaks_confirm(&end.first_pass.leaks, &end.draft, end.born_after, true);
    end.check_ns += crn_now_ns() - confirming;
}

/* Confirms and reports; answers the code to exit with. */
static int report(int exit_code, int exit_signal)
{
    if (check_obstacle() != NULL && !crn_host.process->is_first &&
        end.draft.sections[CRN_SECTION_FINDINGS].count == 0)
        return exit_code;
    if (!end.is_settled)
        first_pass_confirm();
    bool has_spares = end.first_pass.is_done && end.first_pass.mark.spare_count > 0;
    if (end.first_pass.is_done && !end.is_settled &&
        (has_spares || any_born_since(end.born_after))) {
        struct pass pass = {&end.last_pass, has_spares ? crn_heap.birth_line : end.born_after,
                            has_spares ? &end.first_pass.mark : NULL};
        crn_stack_call_mapped(pass_do, &pass, STACK_BYTES);
        if (end.last_pass.is_done)
            crn_leaks_confirm(&end.last_pass.leaks, &end.draft, UINT64_MAX, false);
    }
    end.draft.process.coroutines_resurrected = crn_coros.resurrected + crn_probes.resurrected;
    struct ending ending = {exit_code, exit_signal, exit_code};
    if (!crn_stack_call_mapped(report_do, &ending, STACK_BYTES))
        crn_log("there was no memory for the check; there is no report");
    return ending.code;
}

static void clocks_stop(void *unused, const struct crn_saved_registers *registers)
{
    (void)unused;
    (void)registers;
    crn_clocks_stop(&end.clocks);
}

/*
 * The second part.  From here on nothing changes how the process ends: signals from others and
 * timers are held for good, and while we write, the other threads stand still, since what they work
 * with has been destroyed.  What libc writes when we return, from its streams, may still end the
 * process as ever.
 */
static int finish_alone(int exit_code, int exit_signal, uint64_t mask_before)
{
    enum { CHECK_LIMIT_MS = 1000 };
    struct crn_limits limits;
    end.finishing_tid = crn_sys_gettid();
    if (is_silent()) {
        half_complete(&end.finishing);
        crn_signals_let_writing(mask_before);
        return exit_code;
    }
    crn_limits_lift(&limits);
    crn_stack_call_mapped(clocks_stop, NULL, STACK_BYTES);
    end.is_alone = crn_checks_begin(end.finishing_tid, CHECK_LIMIT_MS);
    int code = report(exit_code, exit_signal);
    if (end.is_alone)
        crn_checks_end();
    crn_limits_restore(&limits);
    end.forced_code = code != exit_code ? code : 0;
    half_complete(&end.finishing);
    crn_signals_let_writing(mask_before);
    return code;
}

/* One thread is at it.  Whoever else ends the process meanwhile waits until it has ended. */
static int finish(int exit_code, int exit_signal)
{
    uint32_t expected = 0;
    if (end.beginning == 0 || !is_watching() || crn_sys_getpid() != crn_host.process->pid)
        return exit_code;
    uint64_t mask_before = crn_signals_hold();
    if (atomic_compare_exchange_strong(&end.finishing, &expected, UNDER_WAY))
        return finish_alone(exit_code, exit_signal, mask_before);
    crn_signals_let(mask_before);
    if (end.finishing_tid != crn_sys_gettid()) {
        half_await(&end.finishing);
        _Atomic uint32_t never = 0;
        crn_futex_wait(&never, 0, (uint64_t)WAIT_LIMIT_S * 1000000000u);
    }
    return end.forced_code != 0 ? end.forced_code : exit_code; /* libc's writing was behind it */
}

static void now_judge(void *argument, const struct crn_saved_registers *registers)
{
    char path[4096];
    (void)registers;
    if (!crn_recording_has_leak(&end.draft))
        return;
    describe();
    facts_fill(-1, 0);
    *(bool *)argument = crn_recording_write_passing(&end.draft, path, sizeof path)
                            ? crn_host.deliver_judged(path, false, true)
                            : true;
    crn_recording_remove(path);
}

bool crn_end_now(const struct crn_saved_registers *from)
{
    bool is_bad = false;
    struct crn_thread *self = crn_host.thread();
    if (self == NULL || end.beginning != 0)
        return false;
    end.is_asked = true;
    begin(from, NULL);
    if (end.first_pass.is_done && !end.is_settled) {
        crn_busy_begin(self);
        first_pass_confirm();
        end.is_settled = true;
        crn_check_free(&end.first_pass);
        crn_stack_call_mapped(now_judge, &is_bad, STACK_BYTES);
        crn_busy_end(self);
    }
    return is_bad;
}

static void give_up_do(void *why, const struct crn_saved_registers *registers)
{
    struct crn_draft draft;
    char path[4096];
    (void)registers;
    crn_draft_init(&draft);
    crn_recording_describe(&draft);
    crn_recording_fill(&draft, &(struct crn_recording_facts){.exit_code = -1, .obstacle = why});
    if (crn_recording_write(&draft, path, sizeof path) != CRN_RECORDED_LAUNCHER) {
        crn_recording_remove(path);
        crn_log("not checked: %s", (const char *)why);
    }
    crn_draft_free(&draft);
}

void crn_end_give_up(const char *why)
{
    if (is_watching() && end.beginning == 0)
        crn_stack_call_mapped(give_up_do, (void *)(uintptr_t)why, STACK_BYTES);
}

int crn_end_finish(int exit_code, const struct crn_saved_registers *from)
{
    begin(from, NULL); /* exit() from inside libc, say of the last thread */
    crn_verify_end(crn_host.options->verify_output);
    return finish(exit_code, 0);
}

void crn_end_by_signal(int signal, const ucontext_t *interrupted)
{
    begin(NULL, interrupted);
    crn_verify_end(crn_host.options->verify_output);
    int code = finish(-1, signal);
    if (code >= 0)
        crn_syscall1(SYS_exit_group, code);
}
