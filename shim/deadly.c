/*
 * The handler that stands in for the end that a signal brings by default.  See deadly.h.
 */
#include "shim/deadly.h"
#include "check/end.h"
#include "shim/state.h"
#include "base/signals.h"
#include "base/sys.h"
#include "snap/stop.h"

#include <string.h>

enum { PID_OF_INIT = 1 };

static bool is_retired;

static void default_set(int signal)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    crn_sigaction_real(signal, &action, NULL);
}

/* Checks, reports, and dies as if we had not been here. */
static void deadly_handler(int signal, siginfo_t *info, void *context)
{
    (void)info;
    if (crn_sys_getpid() == crn_shim.process.pid)
        crn_end_by_signal(signal, context);
    default_set(signal);
    if (crn_sys_getpid() == PID_OF_INIT)
        return; /* it was made by clone() without libc: nothing happens, as by default */
    sigset_t only;
    sigemptyset(&only);
    sigaddset(&only, signal);
    crn_syscall3(SYS_tgkill, crn_sys_getpid(), crn_sys_gettid(), signal);
    crn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &only, NULL, 8);
}

bool crn_deadly_is_handler(void (*handler)(int))
{
    return (void (*)(void))handler == (void (*)(void))deadly_handler;
}

bool crn_deadly_is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == deadly_handler;
}

/* Whether we stand in for any signal in this process. */
static bool stands_in_here(void)
{
    int pid = crn_sys_getpid();
    return !is_retired && !crn_shim.process.is_silenced && crn_shim.phase != CRN_SHIM_OFF &&
           pid == crn_shim.process.pid && pid != PID_OF_INIT;
}

static bool is_one_of_them(int signal)
{
    return crn_signal_is_deadly(signal) && signal != CRN_STOP_SIGNAL;
}

bool crn_deadly_stands_in(int signal)
{
    return is_one_of_them(signal) && stands_in_here();
}

static void install(int signal, struct sigaction *before)
{
    /* Faults stay open, for the handlers the program has for them, and the stop of a check. */
    static const int open[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = deadly_handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
    sigfillset(&action.sa_mask);
    for (unsigned i = 0; i < CRN_COUNT_OF(open); i++)
        sigdelset(&action.sa_mask, open[i]);
    crn_stop_signal_drop(&action.sa_mask);
    if (crn_sigaction_real(signal, &action, before) != 0 && before != NULL)
        before->sa_handler = SIG_DFL;
}

void crn_deadly_install(int signal)
{
    install(signal, NULL);
}

/*
 * Real-time signals are many, and as good as never anything but default when a program starts: to
 * put one back costs less than to ask for all.
 */
static void real_time_start(int signal)
{
    struct sigaction before;
    install(signal, &before);
    if (before.sa_handler != SIG_DFL)
        crn_sigaction_real(signal, &before, NULL);
}

void crn_deadly_start(void)
{
    struct sigaction current;
    is_retired = false;
    bool stands_in = stands_in_here(); /* asked once: every start of a program comes here */
    for (int signal = 1; signal <= CRN_SIGNAL_COUNT && stands_in; signal++)
        if (is_one_of_them(signal) && signal > SIGSYS)
            real_time_start(signal);
        else if (is_one_of_them(signal) && crn_sigaction_real(signal, NULL, &current) == 0 &&
                 current.sa_handler == SIG_DFL)
            crn_deadly_install(signal);
}

void crn_deadly_retire(void)
{
    struct sigaction current;
    for (int signal = 1; signal <= CRN_SIGNAL_COUNT; signal++)
        if (crn_sigaction_real(signal, NULL, &current) == 0 && crn_deadly_is_ours(&current))
            default_set(signal);
    is_retired = true;
}

void crn_deadly_after_fork(int parent_pid)
{
    if (crn_shim.process.pid == PID_OF_INIT) {
        crn_deadly_retire();
        is_retired = false;
    } else if (parent_pid == PID_OF_INIT) {
        crn_deadly_start();
    }
}
