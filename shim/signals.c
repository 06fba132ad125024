/*
 * Signals, as the program sees them and as they are.
 *
 * Two kinds are ours.  CRN_STOP_SIGNAL parks threads for a check: for the program it is no signal
 * at all, as 32 and 33 are none with glibc (signal_range.c), and no mask or wait of the program's
 * contains it.  Deadly signals with default disposition get a handler that checks before the
 * process dies by them (deadly.h): sigaction still shows SIG_DFL.
 *
 * The older functions that set a handler are in signal_styles.c.
 */
#include "shim/calm.h"
#include "shim/signals.h"
#include "shim/deadly.h"
#include "shim/start.h"
#include "shim/triggers.h"
#include "shim/state.h"
#include "base/signals.h"
#include "base/sys.h"
#include "snap/resume.h"
#include "snap/stop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#undef sigwait

extern const char crn_syscall_issued[]; /* in entry_x86_64.S */

void crn_signals_start(void)
{
    if (crn_shim.phase == CRN_SHIM_OFF)
        return;
    crn_resume_start();
    crn_resume_trust_syscall(crn_syscall_issued);
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = crn_stop_handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    memset(&action.sa_mask, 0xff, sizeof action.sa_mask); /* glibc's own signals, too */
    crn_sigaction_real(CRN_STOP_SIGNAL, &action, NULL);
    crn_deadly_start();
    if (crn_self != NULL)
        crn_signal_stack_give(crn_self);
    crn_stop_signal_open();
}

/* Takes our signal out of a set that would block or wait for it. */
static const sigset_t *without_ours(const sigset_t *set, sigset_t *copy)
{
    if (set == NULL || crn_shim.phase == CRN_SHIM_OFF || sigismember(set, CRN_STOP_SIGNAL) != 1)
        return set;
    *copy = *set;
    crn_stop_signal_drop(copy);
    return copy;
}

/* What the program set beside SIG_DFL where our handler stands in for that: it may read it back. */
static struct {
    bool is_set;
    int flags;
    sigset_t mask;
} defaults[CRN_SIGNAL_COUNT + 1];

static void default_note(int signal, const struct sigaction *action, bool is_withheld)
{
    defaults[signal].flags = action->sa_flags | (is_withheld ? SA_ONSTACK : 0);
    defaults[signal].mask = action->sa_mask;
    sigdelset(&defaults[signal].mask, SIGKILL); /* as the kernel does */
    sigdelset(&defaults[signal].mask, SIGSTOP);
    defaults[signal].is_set = true;
}

/* Makes of our handler's what the program believes to be there. */
static void as_default(int signal, struct sigaction *action)
{
    const int libcs_own = 0x04000000; /* SA_RESTORER, where libc sets it */
    int flags = action->sa_flags & libcs_own;
    memset(action, 0, sizeof *action);
    action->sa_handler = SIG_DFL;
    if (defaults[signal].is_set) {
        action->sa_flags = defaults[signal].flags | flags;
        action->sa_mask = defaults[signal].mask;
    }
}

/*
 * Until the program sets an alternate stack, SA_ONSTACK means nothing to it: its handlers run on
 * the normal stack, which is larger than ours.  So the flag is taken off, and put back later.
 */
static _Atomic uint64_t onstack_withheld; /* a bit a signal */
static _Atomic bool has_program_stack;

static void onstack_give_back(void)
{
    struct sigaction action;
    has_program_stack = true;
    for (int signal = 1; signal < 64; signal++) {
        if ((onstack_withheld >> signal & 1) == 0 || crn_sigaction_real(signal, NULL, &action) != 0)
            continue;
        action.sa_flags |= SA_ONSTACK;
        crn_sigaction_real(signal, &action, NULL);
    }
    onstack_withheld = 0;
}

void crn_signal_onstack_forget(int signal)
{
    if (signal > 0 && signal < 64)
        onstack_withheld &= ~((uint64_t)1 << signal);
}

int crn_signal_action(int signal, const struct sigaction *action, struct sigaction *old)
{
    struct sigaction copy, previous;
    if (signal == CRN_STOP_SIGNAL) {
        errno = EINVAL;
        return -1;
    }
    if (action != NULL && crn_shim.phase != CRN_SHIM_OFF) {
        copy = *action;
        crn_stop_signal_drop(&copy.sa_mask);
        action = &copy;
    }
    uint64_t bit = signal > 0 && signal < 64 ? (uint64_t)1 << signal : 0;
    bool was_withheld = (onstack_withheld & bit) != 0;
    if (action == &copy) {
        bool withholds = (copy.sa_flags & SA_ONSTACK) != 0 && !has_program_stack;
        copy.sa_flags &= withholds ? ~SA_ONSTACK : ~0;
        onstack_withheld = withholds ? onstack_withheld | bit : onstack_withheld & ~bit;
    }
    if (action != NULL && action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)
        crn_calm_note_handler(signal);
    bool is_trigger = action == &copy && crn_trigger_is_signal(signal);
    bool wants_default = action != NULL && !is_trigger && crn_deadly_stands_in(signal) &&
                         action->sa_handler == SIG_DFL; /* PHP asks so with SA_SIGINFO, too */
    struct sigaction before_wrap;
    if (is_trigger)
        crn_trigger_wrap(&copy, &before_wrap);
    int result = crn_sigaction_real(signal, wants_default ? NULL : action, &previous);
    if (result == 0 && wants_default)
        crn_deadly_install(signal);
    if (result == 0 && old != NULL) {
        *old = previous;
        if (is_trigger && crn_trigger_is_ours(&previous))
            *old = before_wrap;
        else if (crn_trigger_is_ours(&previous))
            crn_trigger_read(old);
        else if (crn_deadly_is_ours(&previous))
            as_default(signal, old);
        else if (was_withheld)
            old->sa_flags |= SA_ONSTACK;
    }
    if (result == 0 && wants_default)
        default_note(signal, &copy, (onstack_withheld & bit) != 0);
    return result;
}

CRN_EXPORT CRN_REALIGNED int sigaction(int signal, const struct sigaction *restrict action,
                                       struct sigaction *restrict old)
{
    return crn_signal_action(signal, action, old);
}

/* Finds the real function once and forwards with our signal taken out of the set. */
#define REAL(type, name, ...)                              \
    static type (*real)(__VA_ARGS__);                      \
    if (real == NULL)                                      \
        real = (type(*)(__VA_ARGS__))crn_shim_next(#name); \
    sigset_t copy

CRN_EXPORT CRN_REALIGNED int sigprocmask(int how, const sigset_t *restrict set,
                                         sigset_t *restrict old)
{
    REAL(int, sigprocmask, int, const sigset_t *, sigset_t *);
    return real(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), old);
}
CRN_EXPORT CRN_REALIGNED int pthread_sigmask(int how, const sigset_t *restrict set,
                                             sigset_t *restrict old)
{
    REAL(int, pthread_sigmask, int, const sigset_t *, sigset_t *);
    return real(how, how == SIG_UNBLOCK ? set : without_ours(set, &copy), old);
}
CRN_EXPORT CRN_REALIGNED int pthread_attr_setsigmask_np(pthread_attr_t *attributes,
                                                        const sigset_t *set)
{
    REAL(int, pthread_attr_setsigmask_np, pthread_attr_t *, const sigset_t *);
    return real(attributes, without_ours(set, &copy));
}
CRN_EXPORT CRN_REALIGNED int sigsuspend(const sigset_t *set)
{
    REAL(int, sigsuspend, const sigset_t *);
    return real(without_ours(set, &copy));
}
CRN_EXPORT CRN_REALIGNED int sigwait(const sigset_t *restrict set, int *restrict number)
{
    REAL(int, sigwait, const sigset_t *, int *);
    return real(without_ours(set, &copy), number);
}
CRN_EXPORT CRN_REALIGNED int sigwaitinfo(const sigset_t *restrict set, siginfo_t *restrict info)
{
    REAL(int, sigwaitinfo, const sigset_t *, siginfo_t *);
    return real(without_ours(set, &copy), info);
}
CRN_EXPORT CRN_REALIGNED int sigtimedwait(const sigset_t *restrict set, siginfo_t *restrict info,
                                          const struct timespec *restrict timeout)
{
    REAL(int, sigtimedwait, const sigset_t *, siginfo_t *, const struct timespec *);
    set = without_ours(set, &copy);
    if (timeout != NULL)
        crn_call_note(SYS_rt_sigtimedwait, (uintptr_t)set, (uintptr_t)info);
    return real(set, info, timeout);
}
CRN_EXPORT CRN_REALIGNED int signalfd(int fd, const sigset_t *set, int flags)
{
    REAL(int, signalfd, int, const sigset_t *, int);
    return real(fd, without_ours(set, &copy), flags);
}
CRN_EXPORT CRN_REALIGNED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                                   const sigset_t *set)
{
    REAL(int, ppoll, struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    return real(fds, count, timeout, without_ours(set, &copy));
}
CRN_EXPORT CRN_REALIGNED int pselect(int count, fd_set *restrict read, fd_set *restrict write,
                                     fd_set *restrict except,
                                     const struct timespec *restrict timeout,
                                     const sigset_t *restrict set)
{
    REAL(int, pselect, int, fd_set *, fd_set *, fd_set *, const struct timespec *,
         const sigset_t *);
    return real(count, read, write, except, timeout, without_ours(set, &copy));
}
CRN_EXPORT CRN_REALIGNED int epoll_pwait(int fd, struct epoll_event *events, int most, int timeout,
                                         const sigset_t *set)
{
    REAL(int, epoll_pwait, int, struct epoll_event *, int, int, const sigset_t *);
    if (timeout > 0)
        crn_call_note(SYS_epoll_pwait, (uintptr_t)fd, (uintptr_t)events);
    return real(fd, events, most, timeout, without_ours(set, &copy));
}
CRN_EXPORT CRN_REALIGNED int epoll_pwait2(int fd, struct epoll_event *events, int most,
                                          const struct timespec *timeout, const sigset_t *set)
{
    REAL(int, epoll_pwait2, int, struct epoll_event *, int, const struct timespec *,
         const sigset_t *);
    if (timeout != NULL)
        crn_call_note(SYS_epoll_pwait2, (uintptr_t)fd, (uintptr_t)events);
    return real(fd, events, most, timeout, without_ours(set, &copy));
}

/* The program sees its own alternate stack, never ours; without one, ours comes back. */
CRN_EXPORT CRN_REALIGNED int sigaltstack(const stack_t *restrict wanted, stack_t *restrict old)
{
    stack_t before, asked = {.ss_flags = SS_DISABLE};
    struct crn_thread *self = crn_shim_thread();
    memset(&before, 0, sizeof before);
    long result = crn_syscall_always(SYS_sigaltstack, (long)wanted, (long)&before, 0, 0, 0, 0);
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    if (wanted != NULL)
        asked = *wanted; /* some pass one structure for both */
    bool is_enabled = (asked.ss_flags & SS_DISABLE) == 0;
    if (self != NULL && self->signal_stack != NULL && before.ss_sp == self->signal_stack) {
        bool is_on_it = (before.ss_flags & SS_ONSTACK) != 0;
        memset(&before, 0, sizeof before);
        before.ss_flags = is_on_it ? SS_ONSTACK : SS_DISABLE;
    }
    if (self != NULL && wanted != NULL) {
        self->program_signal_stack = is_enabled ? (uintptr_t)asked.ss_sp : 0;
        self->program_signal_bytes = is_enabled ? asked.ss_size : 0;
    }
    if (is_enabled && self != NULL && !self->is_busy) {
        /* Some libraries start coroutines in a handler on it, and stay. */
        uintptr_t start = (uintptr_t)asked.ss_sp;
        struct crn_calm calm = crn_calm_begin();
        crn_busy_begin(self);
        crn_coro_note_mapped(start, start + asked.ss_size, CRN_MAPPED_ONE_STACK, self->tid);
        crn_busy_end(self);
        crn_calm_end(&calm);
    }
    if (is_enabled && !has_program_stack)
        onstack_give_back();
    if (old != NULL) {
        result = crn_syscall_always(SYS_sigaltstack, 0, (long)old, 0, 0, 0,
                                    0); /* the kernel says if it is no memory */
        if (!crn_sys_failed(result))
            *old = before;
    }
    if (self != NULL && wanted != NULL && !is_enabled)
        crn_signal_stack_give(self);
    if (crn_sys_failed(result))
        errno = (int)-result;
    return crn_sys_failed(result) ? -1 : 0;
}
