/*
 * What a thread needs so that a check can stop it: a stack for the handler, and the signal open.
 */
#include "shim/signals.h"
#include "base/sys.h"
#include "base/vm.h"
#include "coro/thread.h"
#include "snap/stop.h"

#include <string.h>

void crn_stop_signal_open(void)
{
    uint64_t ours = CRN_STOP_SIGNAL_BIT;
    crn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, NULL, sizeof ours);
}

void crn_signal_stack_give(struct crn_thread *self)
{
    stack_t current, ours;
    memset(&current, 0, sizeof current);
    if (crn_syscall2(SYS_sigaltstack, NULL, &current) != 0 || (current.ss_flags & SS_DISABLE) == 0)
        return;
    if (self->signal_stack == NULL)
        self->signal_stack = crn_vm_map(CRN_SIGNAL_STACK_BYTES);
    if (self->signal_stack == NULL)
        return;
    memset(&ours, 0, sizeof ours);
    ours.ss_sp = self->signal_stack;
    ours.ss_size = CRN_SIGNAL_STACK_BYTES;
    crn_syscall2(SYS_sigaltstack, &ours, NULL);
}
