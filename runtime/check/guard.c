/*
 * Gives a function up when it faults.  See guard.h.
 */
#include "check/guard.h"
#include "base/sys.h"
#include "check/host.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>

static const int faults[] = {SIGSEGV, SIGBUS};

static sigjmp_buf way_out;
static sigjmp_buf *read_out; /* of the read under way */
static bool is_alone;
static int guarded_tid;
static uintptr_t fault_address;
static struct sigaction program_actions[CRN_COUNT_OF(faults)];

static void fault_handler(int signal, siginfo_t *info, void *context)
{
    if (read_out != NULL)
        siglongjmp(*read_out, 1);
    if (crn_sys_gettid() == guarded_tid) {
        fault_address = (uintptr_t)info->si_addr;
        siglongjmp(way_out, 1);
    }
    const struct sigaction *action = &program_actions[signal == SIGBUS];
    if ((action->sa_flags & SA_SIGINFO) != 0)
        action->sa_sigaction(signal, info, context);
    else if (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN)
        action->sa_handler(signal);
    else
        crn_host.sigaction(signal, action, NULL); /* it happens again, and kills as it should */
}

static bool read_alone(void *target, uintptr_t source, size_t bytes)
{
    sigjmp_buf out;
    read_out = &out;
    bool is_read = sigsetjmp(out, 0) == 0;
    if (is_read)
        memcpy(target, (const void *)source, bytes);
    read_out = NULL;
    return is_read;
}

void crn_guard_alone(void)
{
    is_alone = true;
}

void crn_guard_after_fork(void)
{
    if (guarded_tid == 0)
        return;
    for (unsigned i = 0; i < CRN_COUNT_OF(faults); i++)
        crn_host.sigaction(faults[i], &program_actions[i], NULL);
    guarded_tid = 0;
}

bool crn_guarded_call(void (*function)(void *argument), void *argument, uintptr_t *fault)
{
    struct sigaction ours;
    sigset_t faults_set, before;
    memset(&ours, 0, sizeof ours);
    ours.sa_sigaction = fault_handler;
    ours.sa_flags = SA_SIGINFO | SA_NODEFER;
    guarded_tid = crn_sys_gettid();
    for (unsigned i = 0; i < CRN_COUNT_OF(faults); i++)
        crn_host.sigaction(faults[i], &ours, &program_actions[i]);
    /* A fault while its signal is blocked, as in a handler of ours, kills the process. */
    sigemptyset(&faults_set);
    for (unsigned i = 0; i < CRN_COUNT_OF(faults); i++)
        sigaddset(&faults_set, faults[i]);
    crn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &faults_set, &before, 8);
    crn_memory_read_alone = is_alone ? read_alone : NULL;
    bool is_done = sigsetjmp(way_out, 1) == 0;
    if (is_done)
        function(argument);
    crn_memory_read_alone = NULL;
    for (unsigned i = 0; i < CRN_COUNT_OF(faults); i++)
        crn_host.sigaction(faults[i], &program_actions[i], NULL);
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    guarded_tid = 0;
    *fault = fault_address;
    return is_done;
}
