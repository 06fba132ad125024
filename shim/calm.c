/*
 * Signals wait while a registry changes.  See calm.h.
 */
#include "shim/calm.h"
#include "base/sys.h"
#include "snap/stop.h"

#include <signal.h>

_Atomic bool crn_handlers_may_switch;

#define BIT(signal) ((uint64_t)1 << ((signal)-1))

/* Faults of our own work, and the signal that stops threads, whose handler never switches. */
static const uint64_t open_ones = BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) |
                                  BIT(SIGTRAP) | BIT(SIGSYS) | BIT(SIGABRT) | BIT(CRN_STOP_SIGNAL);

void crn_calm_hold(struct crn_calm *calm)
{
    uint64_t all_but_those = ~open_ones;
    calm->is_held = !crn_sys_failed(
        crn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &all_but_those, &calm->mask, 8));
}

void crn_calm_let(const struct crn_calm *calm)
{
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &calm->mask, NULL, 8);
}

void crn_calm_note_handler(int signal)
{
    static const uint64_t ordinary =
        BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGILL) | BIT(SIGFPE) | BIT(SIGTRAP) | BIT(SIGSYS) |
        BIT(SIGABRT) | BIT(SIGHUP) | BIT(SIGINT) | BIT(SIGQUIT) | BIT(SIGTERM) | BIT(SIGPIPE) |
        BIT(SIGCHLD) | BIT(SIGCONT) | BIT(SIGTSTP) | BIT(SIGTTIN) | BIT(SIGTTOU) | BIT(SIGWINCH) |
        BIT(SIGXCPU) | BIT(SIGXFSZ) | BIT(SIGPWR);
    if (signal >= 1 && signal <= 64 && (ordinary & BIT(signal)) == 0)
        crn_handlers_may_switch = true;
}
