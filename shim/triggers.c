/*
 * Checks asked for beforehand.  See triggers.h.
 */
#include "shim/triggers.h"
#include "shim/deadly.h"
#include "shim/errand.h"
#include "shim/state.h"
#include "base/sys.h"
#include "live/thread.h"
#include "snap/resume.h"
#include "snap/stop.h"

#include <string.h>

enum { ERRAND, CLOCK, THREADS };
enum { LEAVE_LIMIT_MS = 500 };

static struct crn_live_room rooms[THREADS];
static bool is_possible;              /* the command was found, when the program began */
static _Atomic uint32_t is_due;       /* a check is wanted */
static bool has_clock;                /* forked children have none */
static _Atomic uint32_t must_leave;   /* threads of ours end as soon as they can */
static struct sigaction programs_own; /* for the signal of --check-signal */

/* Both are threads of ours: no check stops them. */
static void thread_begin(unsigned which)
{
    crn_self = NULL;
    crn_syscall_number = 0;
    crn_stop_left_out[CRN_STOP_LEFT_OUT_CHECKS + which] = crn_sys_gettid();
}

static void thread_end(unsigned which)
{
    crn_stop_left_out[CRN_STOP_LEFT_OUT_CHECKS + which] = 0;
}

static void errand_run(void *unused)
{
    (void)unused;
    thread_begin(ERRAND);
    while (must_leave == 0 && atomic_exchange(&is_due, 0) != 0)
        crn_errand_run(&must_leave);
    thread_end(ERRAND);
}

/* Begins a thread with all signals blocked. */
static int begin(unsigned which, void (*function)(void *))
{
    const uint64_t all = ~UINT64_C(0);
    uint64_t before = 0;
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, sizeof all);
    int result = crn_live_thread_begin(&rooms[which], true, function, NULL);
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, sizeof before);
    return result;
}

bool crn_trigger_fire(void)
{
    if (crn_shim.phase != CRN_SHIM_ON || crn_sys_getpid() != crn_shim.process.pid ||
        crn_shim.process.is_silenced || !crn_shim.options.detect_leaks || !is_possible)
        return false;
    is_due = 1;
    begin(ERRAND, errand_run); /* or one is under way, and sees it */
    return true;
}

static void clock_run(void *unused)
{
    const uint64_t second_ns = UINT64_C(1000000000);
    uint64_t every_ns = crn_shim.options.check_every * second_ns, next_ns = crn_now_ns() + every_ns;
    (void)unused;
    thread_begin(CLOCK);
    while (must_leave == 0) {
        uint64_t now_ns = crn_now_ns();
        if (now_ns < next_ns) {
            crn_futex_wait(&must_leave, 0, next_ns - now_ns);
            continue;
        }
        crn_trigger_fire();
        while (next_ns <= now_ns)
            next_ns += every_ns;
    }
    thread_end(CLOCK);
}

/* In an allocation, now and then: live bytes have passed what was asked for. */
static void size_reached(int64_t live_bytes)
{
    int64_t at = crn_heap.alarm_bytes, next = at;
    while (next <= live_bytes)
        next = next > INT64_MAX / 2 ? INT64_MAX : next * 2;
    if (atomic_compare_exchange_strong(&crn_heap.alarm_bytes, &at, next))
        crn_trigger_fire();
}

bool crn_trigger_is_signal(int signal)
{
    return signal != 0 && signal == (int)crn_shim.options.check_signal &&
           crn_shim.phase == CRN_SHIM_ON && crn_sys_getpid() == crn_shim.process.pid;
}

static void handler(int signal, siginfo_t *info, void *context)
{
    uint64_t entered_ns = crn_now_ns();
    crn_trigger_fire();
    if ((programs_own.sa_flags & SA_SIGINFO) != 0 && programs_own.sa_sigaction != NULL)
        programs_own.sa_sigaction(signal, info, context);
    else if (programs_own.sa_handler != SIG_DFL && programs_own.sa_handler != SIG_IGN)
        programs_own.sa_handler(signal);
    else
        crn_resume(context, entered_ns); /* nobody was to be interrupted */
}

void crn_trigger_wrap(struct sigaction *action, struct sigaction *before)
{
    *before = programs_own;
    programs_own = *action;
    bool is_none = action->sa_handler == SIG_DFL || action->sa_handler == SIG_IGN;
    if (is_none) {
        action->sa_flags = SA_ONSTACK | SA_RESTART;
        memset(&action->sa_mask, 0xff, sizeof action->sa_mask);
        crn_stop_signal_drop(&action->sa_mask);
    }
    action->sa_sigaction = handler;
    action->sa_flags |= SA_SIGINFO;
}

bool crn_trigger_is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handler;
}

void crn_trigger_read(struct sigaction *action)
{
    *action = programs_own;
}

void crn_triggers_start(void)
{
    const struct crn_options *options = &crn_shim.options;
    is_possible = crn_errand_is_possible();
    if (options->check_signal != 0 && !crn_shim.process.is_silenced) {
        struct sigaction action, none;
        if (crn_sigaction_real((int)options->check_signal, NULL, &action) == 0) {
            if (crn_deadly_is_ours(&action)) {
                memset(&action, 0, sizeof action);
                action.sa_handler = SIG_DFL;
            }
            crn_trigger_wrap(&action, &none);
            crn_sigaction_real((int)options->check_signal, &action, NULL);
        }
    }
    if (options->check_at != 0) {
        crn_heap.alarm_bytes = options->check_at < INT64_MAX ? (int64_t)options->check_at : INT64_MAX;
        crn_heap_alarm = size_reached;
    }
    has_clock = options->check_every != 0 && !crn_shim.process.is_silenced;
    if (has_clock)
        begin(CLOCK, clock_run);
}

void crn_triggers_after_fork(void)
{
    is_due = must_leave = 0;
    has_clock = false;
    for (unsigned i = 0; i < THREADS; i++)
        crn_live_room_after_fork(&rooms[i]);
}

void crn_triggers_leave(void)
{
    must_leave = 1;
    crn_futex_wake_all(&must_leave);
    for (unsigned i = 0; i < THREADS; i++)
        crn_live_thread_await(&rooms[i], (uint64_t)LEAVE_LIMIT_MS * 1000000);
}

void crn_triggers_return(void)
{
    must_leave = 0;
    if (has_clock)
        begin(CLOCK, clock_run);
    if (is_due != 0)
        begin(ERRAND, errand_run);
}
