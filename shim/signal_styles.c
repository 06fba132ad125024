/*
 * The older ways to set a handler or a mask: signal(2) and its relatives of BSD and System V.
 *
 * glibc's own reach its sigaction and sigprocmask inside, past us.  They would show the program the
 * handler that stands in for a deadly signal (deadly.h), take it away, or let our signal be
 * touched.
 */
#include "shim/calm.h"
#include "shim/deadly.h"
#include "shim/signals.h"
#include "shim/real.h"
#include "shim/triggers.h"
#include "base/sys.h"
#include "snap/stop.h"

#include <errno.h>
#include <string.h>

enum { RESETS = (int)(SA_RESETHAND | SA_NODEFER) }; /* System V: the handler is good for once */

/*
 * As libc's function `name` does it, which also knows what siginterrupt said; by `flags` where the
 * handler is one of those that we keep apart.
 */
static sighandler_t handler_set(const char *name, int signal, sighandler_t handler, int flags)
{
    struct sigaction action, old;
    if (handler == SIG_ERR || signal < 1 || signal >= NSIG || signal == CRN_STOP_SIGNAL) {
        errno = EINVAL;
        return SIG_ERR;
    }
    if (handler != SIG_DFL && handler != SIG_IGN)
        crn_calm_note_handler(signal);
    if (!crn_trigger_is_signal(signal) &&
        (handler != SIG_DFL || !crn_deadly_stands_in(signal))) {
        crn_signal_onstack_forget(signal);
        sighandler_t before =
            ((sighandler_t(*)(int, sighandler_t))crn_shim_next(name))(signal, handler);
        return crn_deadly_is_handler(before) ? SIG_DFL : before;
    }
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    if ((flags & SA_RESTART) != 0)
        sigaddset(&action.sa_mask, signal);
    action.sa_flags = flags;
    return crn_signal_action(signal, &action, &old) == 0 ? old.sa_handler : SIG_ERR;
}

CRN_EXPORT CRN_REALIGNED sighandler_t signal(int number, sighandler_t handler)
{
    return handler_set(__func__, number, handler, SA_RESTART);
}
CRN_EXPORT CRN_REALIGNED sighandler_t ssignal(int number, sighandler_t handler)
{
    return handler_set(__func__, number, handler, SA_RESTART);
}
CRN_EXPORT sighandler_t bsd_signal(int number, sighandler_t handler);
CRN_EXPORT CRN_REALIGNED sighandler_t bsd_signal(int number, sighandler_t handler)
{
    return handler_set(__func__, number, handler, SA_RESTART);
}
CRN_EXPORT CRN_REALIGNED sighandler_t sysv_signal(int number, sighandler_t handler)
{
    return handler_set(__func__, number, handler, RESETS);
}
CRN_EXPORT CRN_REALIGNED sighandler_t __sysv_signal(int number, sighandler_t handler)
{
    return handler_set(__func__, number, handler, RESETS);
}
CRN_EXPORT CRN_REALIGNED int sigignore(int number)
{
    return handler_set("signal", number, SIG_IGN, 0) == SIG_ERR ? -1 : 0;
}

/* Whether this is no signal to the program; errno says so then. */
static bool is_refused(int number)
{
    bool is_one = number >= 1 && number < NSIG && number != CRN_STOP_SIGNAL;
    if (!is_one)
        errno = EINVAL;
    return !is_one;
}

CRN_EXPORT CRN_REALIGNED int siginterrupt(int number, int interrupts)
{
    static int (*real)(int, int);
    if (real == NULL)
        real = (int (*)(int, int))crn_shim_next(__func__);
    return is_refused(number) ? -1 : real(number, interrupts);
}

/* Blocks or unblocks one signal; answers whether it was blocked, or a negative errno. */
static long one_mask(int how, int number)
{
    uint64_t bit = (uint64_t)1 << (number - 1), before = 0;
    long result =
        crn_syscall_always(SYS_rt_sigprocmask, how, (long)&bit, (long)&before, sizeof bit, 0, 0);
    return result < 0 ? result : (before & bit) != 0;
}

CRN_EXPORT CRN_REALIGNED int sighold(int number)
{
    return is_refused(number) || one_mask(SIG_BLOCK, number) < 0 ? -1 : 0;
}
CRN_EXPORT CRN_REALIGNED int sigrelse(int number)
{
    return is_refused(number) || one_mask(SIG_UNBLOCK, number) < 0 ? -1 : 0;
}

/* Sets the disposition and unblocks the signal; SIG_HOLD blocks it and leaves the disposition. */
CRN_EXPORT CRN_REALIGNED sighandler_t sigset(int number, sighandler_t handler)
{
    struct sigaction action, old;
    bool holds = handler == SIG_HOLD;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    if (handler == SIG_ERR)
        errno = EINVAL;
    if (handler == SIG_ERR || is_refused(number) ||
        crn_signal_action(number, holds ? NULL : &action, &old) != 0)
        return SIG_ERR;
    long was_blocked = one_mask(holds ? SIG_BLOCK : SIG_UNBLOCK, number);
    return was_blocked < 0 ? SIG_ERR : was_blocked > 0 ? SIG_HOLD : old.sa_handler;
}

/* 4.2BSD's sigaction.  glibc keeps it for old binaries, without a declaration. */
struct bsd_action {
    sighandler_t handler;
    int mask; /* signals 1 to 32 */
    int flags;
};
enum { BSD_ONSTACK = 1, BSD_INTERRUPT = 2, BSD_RESETHAND = 4 };

CRN_EXPORT int sigvec(int number, const struct bsd_action *wanted, struct bsd_action *old);
CRN_EXPORT CRN_REALIGNED int sigvec(int number, const struct bsd_action *wanted,
                                    struct bsd_action *old)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    if (wanted != NULL) {
        action.sa_handler = wanted->handler;
        action.sa_mask.__val[0] = (unsigned)wanted->mask;
        action.sa_flags = ((wanted->flags & BSD_ONSTACK) != 0 ? SA_ONSTACK : 0) |
                          ((wanted->flags & BSD_INTERRUPT) != 0 ? 0 : SA_RESTART) |
                          ((wanted->flags & BSD_RESETHAND) != 0 ? (int)SA_RESETHAND : 0);
    }
    if (is_refused(number) ||
        crn_signal_action(number, wanted != NULL ? &action : NULL, &before) != 0)
        return -1;
    if (old != NULL) {
        old->handler = before.sa_handler;
        old->mask = (int)before.sa_mask.__val[0];
        old->flags = ((before.sa_flags & SA_ONSTACK) != 0 ? BSD_ONSTACK : 0) |
                     ((before.sa_flags & SA_RESTART) != 0 ? 0 : BSD_INTERRUPT) |
                     ((before.sa_flags & (int)SA_RESETHAND) != 0 ? BSD_RESETHAND : 0);
    }
    return 0;
}
