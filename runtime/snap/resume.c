/*
 * Goes on with interrupted calls.  See resume.h; calls.c has the table, machine.h the registers.
 */
#include "snap/resume.h"
#include "base/sys.h"
#include "snap/calls.h"
#include "snap/machine.h"
#include "snap/partial.h"
#include "snap/stop.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <linux/prctl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#ifndef IORING_ENTER_ABS_TIMER
#define IORING_ENTER_ABS_TIMER (1u << 5) /* Linux 6.12 */
#endif

static const uint64_t SECOND_NS = 1000000000u, NO_LIMIT = UINT64_MAX;

/* The moment of crn_resume_start on both clocks; between it and now lies the rate of the ticks. */
static uint64_t start_ticks, start_ns;
static long seccomp_at_start;

void crn_resume_start(void)
{
    start_ticks = crn_ticks_now();
    start_ns = crn_now_ns();
    seccomp_at_start = crn_syscall1(SYS_prctl, PR_GET_SECCOMP);
}

/* What the calling thread was about to do last; its age tells when the call began. */
struct note {
    long number;
    uintptr_t first, second, sp;
    uint64_t ticks;
};
static __thread struct note noted __attribute__((tls_model("initial-exec")));

CRN_NOINLINE void crn_call_note(long number, uintptr_t first, uintptr_t second)
{
    noted = (struct note){number, first, second, (uintptr_t)__builtin_frame_address(0),
                          crn_ticks_now()};
}

/*
 * A limit as we gave it to the kernel: `until_ns` on the clock of crn_now_ns.  The call points
 * here, which also tells the next stop that it is the same call.  There are some, because a handler
 * of the program's may make such a call before the kernel has read ours.
 */
struct rest {
    struct timespec left;
    struct io_uring_getevents_arg uring;
    uint32_t left_ms;
    uint64_t until_ns;
};
enum { RESTS = 4, REST_TAG = 0x43524e00 /* with the index, above 32 bits of milliseconds */ };
static __thread struct rest rests[RESTS] __attribute__((tls_model("initial-exec")));
static __thread unsigned rests_next __attribute__((tls_model("initial-exec")));

/* The signals that our handler keeps waiting and that the interrupted call does not block. */
static uint64_t signals_waiting(const ucontext_t *context, const struct crn_call_row *row,
                                const struct crn_call *call)
{
    uint64_t waiting = 0, call_mask = 0;
    uintptr_t set = call->arguments[row->mask_argument];
    if (crn_syscall2(SYS_rt_sigpending, &waiting, sizeof waiting) != 0)
        return 0;
    waiting &= ~context->uc_sigmask.__val[0] & ~CRN_STOP_SIGNAL_BIT;
    if (waiting == 0 || row->mask == CRN_MASK_NONE)
        return waiting;
    if (row->mask == CRN_MASK_PAIR && set != 0 && !crn_memory_read(&set, set, sizeof set))
        set = 0;
    if (set != 0 && crn_memory_read(&call_mask, set, sizeof call_mask))
        waiting &= ~call_mask;
    return waiting;
}

/* sigaction(2) as the kernel knows it. */
struct kernel_action {
    void (*handler)(int);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

/* Does one of these signals run a handler, or end the process?  And is a call restarted by it? */
static bool is_interrupting(uint64_t signals, bool *restarts)
{
    const uint64_t harmless = 1ull << (SIGCHLD - 1) | 1ull << (SIGCONT - 1) | 1ull << (SIGURG - 1) |
                              1ull << (SIGWINCH - 1) | 1ull << (SIGTSTP - 1) |
                              1ull << (SIGTTIN - 1) | 1ull << (SIGTTOU - 1);
    for (; signals != 0; signals &= signals - 1) {
        int number = __builtin_ctzll(signals) + 1; /* the kernel delivers the lowest one first */
        struct kernel_action action;
        if (crn_syscall4(SYS_rt_sigaction, number, NULL, &action, sizeof action.mask) != 0 ||
            action.handler == SIG_IGN ||
            (action.handler == SIG_DFL && (harmless >> (number - 1) & 1) != 0))
            continue;
        *restarts = (action.flags & SA_RESTART) != 0;
        return true;
    }
    return false;
}

static bool is_restarted(const struct crn_call_row *row)
{
    return row->kind == CRN_CALL_RESTARTED || row->kind == CRN_CALL_RECEIVES ||
           row->kind == CRN_CALL_SENDS || row->kind == CRN_CALL_CONNECTS;
}

static uint64_t timespec_ns(const struct timespec *time)
{
    const uint64_t most = NO_LIMIT / 4 / SECOND_NS;
    uint64_t seconds = (uint64_t)time->tv_sec;
    return (seconds < most ? seconds : most) * SECOND_NS + (uint64_t)time->tv_nsec;
}

/* The call's time limit as it was given, and the place where we keep it if we gave it; NULL. */
static uint64_t limit_read(const struct crn_call_row *row, const struct crn_call *call,
                           struct rest **ours)
{
    uintptr_t argument = call->arguments[row->limit];
    struct timespec time;
    struct io_uring_getevents_arg uring;
    *ours = NULL;
    for (unsigned i = 0; i < RESTS; i++)
        if (argument == (uintptr_t)&rests[i].left || argument == (uintptr_t)&rests[i].uring ||
            argument == ((uint64_t)(REST_TAG + i) << 32 | rests[i].left_ms))
            *ours = &rests[i];
    if (row->kind == CRN_CALL_MS)
        return (int)argument < 0 ? NO_LIMIT : (uint64_t)(int)argument * 1000000u;
    if (row->kind == CRN_CALL_URING_WAIT) {
        if ((call->arguments[3] & IORING_ENTER_EXT_ARG) == 0 ||
            (call->arguments[3] & IORING_ENTER_ABS_TIMER) != 0 || argument == 0 ||
            !crn_memory_read(&uring, argument, sizeof uring))
            return NO_LIMIT;
        argument = uring.ts;
    }
    if (argument == 0 || !crn_memory_read(&time, argument, sizeof time))
        return NO_LIMIT;
    return timespec_ns(&time);
}

/* When a call with this limit is to end. */
static uint64_t until_find(const ucontext_t *context, const struct crn_call *call,
                           uint64_t limit_ns, uint64_t entered_ns)
{
    /* The note's frame is gone when the call is made, and the wrapper may have one. */
    enum { NOTE_BYTES = 256, WRAPPER_BYTES = 1024 };
    uint64_t began_ns = entered_ns;
    uint64_t ticks = crn_ticks_now(), now_ns = crn_now_ns();
    if (noted.number == call->number && (uint32_t)noted.first == (uint32_t)call->arguments[0] &&
        noted.second == call->arguments[1] &&
        noted.sp + NOTE_BYTES - crn_call_sp(context) < NOTE_BYTES + WRAPPER_BYTES &&
        ticks > start_ticks)
        began_ns = now_ns - (uint64_t)((unsigned __int128)(ticks - noted.ticks) *
                                       (now_ns - start_ns) / (ticks - start_ticks));
    return began_ns + limit_ns;
}

static uint64_t left_until(uint64_t until_ns)
{
    uint64_t now_ns = crn_now_ns();
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

/* Issues a call again with what is left of its limit. */
static void issue_with_rest(ucontext_t *context, const struct crn_call_row *row,
                            const struct crn_call *call, uint64_t entered_ns)
{
    struct rest *rest;
    uint64_t limit_ns = limit_read(row, call, &rest);
    crn_call_issue(context, call);
    if (limit_ns == NO_LIMIT)
        return;
    if (rest == NULL) {
        rest = &rests[rests_next++ % RESTS];
        rest->until_ns = until_find(context, call, limit_ns, entered_ns);
    }
    uint64_t left_ns = left_until(rest->until_ns);
    uintptr_t argument = (uintptr_t)&rest->left;
    rest->left = (struct timespec){(time_t)(left_ns / SECOND_NS), (long)(left_ns % SECOND_NS)};
    if (row->kind == CRN_CALL_MS) {
        rest->left_ms = (uint32_t)((left_ns + 999999u) / 1000000u);
        argument = (uint64_t)(REST_TAG + (rest - rests)) << 32 | rest->left_ms;
    } else if (row->kind == CRN_CALL_URING_WAIT) {
        if (call->arguments[row->limit] != (uintptr_t)&rest->uring)
            crn_memory_read(&rest->uring, call->arguments[row->limit], sizeof rest->uring);
        rest->uring.ts = argument;
        argument = (uintptr_t)&rest->uring;
    }
    crn_call_argument_set(context, row->limit, argument);
}

/* Issues a call whose limit the kernel wrote back when the handler began: time has passed since. */
static void issue_with_left(ucontext_t *context, const struct crn_call_row *row,
                            const struct crn_call *call, uint64_t entered_ns)
{
    uintptr_t argument = call->arguments[row->limit];
    bool is_us = row->kind == CRN_CALL_LEFT_US;
    struct timespec left; /* a struct timeval has the same form */
    if (argument != 0 && crn_memory_read(&left, argument, sizeof left)) {
        uint64_t unit = is_us ? 1000 : 1, passed_ns = crn_now_ns() - entered_ns;
        left.tv_nsec *= (long)unit;
        uint64_t left_ns = timespec_ns(&left);
        left_ns = left_ns > passed_ns ? left_ns - passed_ns : 0;
        left.tv_sec = (time_t)(left_ns / SECOND_NS);
        left.tv_nsec = (long)((left_ns % SECOND_NS + unit - 1) / unit);
        if (is_us && left.tv_nsec == 1000000)
            left = (struct timespec){left.tv_sec + 1, 0};
        crn_memory_write(argument, &left, sizeof left);
    }
    crn_call_issue(context, call);
}

/* Issues a call on a socket, whose limit the socket knows. */
static void issue_on_socket(ucontext_t *context, const struct crn_call_row *row,
                            const struct crn_call *call, uint64_t entered_ns)
{
    bool receives = row->kind == CRN_CALL_RECEIVES;
    struct timeval limit = {0, 0};
    socklen_t bytes = sizeof limit;
    bool is_limited = crn_syscall6(SYS_getsockopt, call->arguments[0], SOL_SOCKET,
                                   receives ? SO_RCVTIMEO : SO_SNDTIMEO, &limit, &bytes, 0) == 0 &&
                      (limit.tv_sec != 0 || limit.tv_usec != 0);
    if (!is_limited) {
        crn_call_issue(context, call);
        return;
    }
    uint64_t limit_ns = (uint64_t)limit.tv_sec * SECOND_NS + (uint64_t)limit.tv_usec * 1000u;
    uint64_t left_ns = left_until(until_find(context, call, limit_ns, entered_ns));
    long at_limit = row->kind == CRN_CALL_CONNECTS ? -EINPROGRESS : -EAGAIN;
    if (left_ns == 0)
        crn_call_end(context, call, at_limit);
    else if (!crn_call_poll_before(context, call, receives ? POLLIN : POLLOUT, left_ns, at_limit))
        crn_call_issue(context, call);
}

/* A filter that the program has set since may forbid restart_syscall, which nobody calls by name.
 */
static bool may_restart(void)
{
    if (crn_calls_are_tried)
        return !crn_call_is_forbidden(SYS_restart_syscall);
    return crn_syscall1(SYS_prctl, PR_GET_SECCOMP) == seccomp_at_start;
}

/* Has the rest of a call done that our signal ended half way. */
static void complete(ucontext_t *context, const struct crn_call *call)
{
    static const struct crn_call_row no_mask = {.kind = CRN_CALL_UNKNOWN};
    struct crn_partial partial = crn_partial_find(call);
    bool restarts;
    if (partial.count > 0 && !is_interrupting(signals_waiting(context, &no_mask, call), &restarts))
        crn_call_complete(context, call, &partial);
}

void crn_resume(ucontext_t *context, uint64_t entered_ns)
{
    struct crn_call call = crn_call_read(context);
    if (call.state == CRN_CALL_NONE || call.number < 0)
        return;
    if (call.state == CRN_CALL_COUNTED) {
        complete(context, &call);
        return;
    }
    struct crn_call_row row = crn_call_find(call.number, call.arguments);
    if (row.kind == CRN_CALL_UNKNOWN)
        return;
    bool restarts = false;
    uint64_t waiting = signals_waiting(context, &row, &call);
    if (waiting != 0 && is_interrupting(waiting, &restarts)) {
        if (call.state == CRN_CALL_COMING && call.number != SYS_restart_syscall &&
            !(restarts && is_restarted(&row)))
            crn_call_end(context, &call, -EINTR);
        return;
    }
    if (call.state == CRN_CALL_COMING && call.number != SYS_restart_syscall)
        return;
    switch ((enum crn_call_kind)row.kind) {
    case CRN_CALL_BLOCK:
        if (may_restart())
            crn_call_restart(context, &call);
        break;
    case CRN_CALL_MS:
    case CRN_CALL_TIMESPEC:
    case CRN_CALL_URING_WAIT:
        issue_with_rest(context, &row, &call, entered_ns);
        break;
    case CRN_CALL_LEFT:
    case CRN_CALL_LEFT_US:
        issue_with_left(context, &row, &call, entered_ns);
        break;
    case CRN_CALL_RECEIVES:
    case CRN_CALL_SENDS:
    case CRN_CALL_CONNECTS:
        issue_on_socket(context, &row, &call, entered_ns);
        break;
    case CRN_CALL_RESTARTED:
    case CRN_CALL_AGAIN:
        crn_call_issue(context, &call);
        break;
    case CRN_CALL_UNKNOWN:
        break;
    }
}
