/*
 * Goes into sandboxes with the program.  See sandbox.h.
 */
#include "shim/sandbox.h"
#include "shim/deadly.h"
#include "shim/inherited.h"
#include "shim/state.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"
#include "check/end.h"
#include "record/mailbox.h"
#include "snap/take.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Without these there is no check, whatever else is allowed: we would touch what is not there, and
 * not survive it.
 */
static const char *obstacle_find(const struct crn_sandbox *sandbox)
{
    bool has_pagemap = !(crn_call_is_forbidden(SYS_openat) && crn_call_is_forbidden(SYS_recvmsg)) &&
                       !(crn_call_is_forbidden(SYS_ioctl) && crn_call_is_forbidden(SYS_pread64));
    if (sandbox->is_strict)
        return "the program entered seccomp's strict mode";
    if (sandbox->is_unknown)
        return "what the program's sandbox (seccomp) forbids cannot be tried";
    if (crn_call_is_forbidden(SYS_rt_sigaction))
        return "the program's sandbox (seccomp) forbids rt_sigaction";
    if (crn_call_is_forbidden(SYS_mincore) && !has_pagemap)
        return "the program's sandbox (seccomp) forbids mincore, and to read pagemap";
    return NULL;
}

/* Our handlers of deadly signals cannot end the process as the signal would have. */
static bool has_deadly_calls(void)
{
    return !crn_call_is_forbidden(SYS_rt_sigaction) && !crn_call_is_forbidden(SYS_tgkill) &&
           !crn_call_is_forbidden(SYS_rt_sigprocmask);
}

static void obstacle_heed(const char *obstacle)
{
    crn_end_give_up(obstacle);
    crn_shim.process.is_silenced = true;
}

void crn_sandbox_prepare(struct crn_sandbox *sandbox)
{
    crn_calls_save(&sandbox->before);
    crn_held_take(false);
    crn_vm_pool_take();
    crn_mailbox_prepare();
    crn_snap_note_timers();
    if (sandbox->is_strict)
        crn_calls_forbid_all();
    else
        sandbox->is_unknown = !crn_calls_try(&sandbox->filter);
    struct crn_calls_state then;
    crn_calls_save(&then);
    const char *obstacle = obstacle_find(sandbox);
    bool has_deadly = obstacle == NULL && has_deadly_calls();
    crn_calls_restore(&sandbox->before); /* until the filter is there, all is as it was */
    if (obstacle != NULL)
        obstacle_heed(obstacle);
    if (!has_deadly)
        crn_deadly_retire();
    crn_calls_restore(&then);
    crn_sandbox_tell();
}

void crn_sandbox_failed(const struct crn_sandbox *sandbox)
{
    crn_calls_restore(&sandbox->before);
    crn_shim.process.is_silenced = false;
    crn_deadly_start();
    crn_sandbox_tell();
}

void crn_sandbox_tell(void)
{
    struct crn_calls_state state;
    const unsigned char *bytes = (const unsigned char *)&state;
    char text[2 * sizeof state + 1];
    bool is_any = false;
    crn_calls_save(&state);
    for (size_t i = 0; i < sizeof state; i++) {
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
        is_any |= bytes[i] != 0;
    }
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL || self->is_busy || (!is_any && getenv(CRN_CALLS_VARIABLE) == NULL))
        return;
    crn_busy_begin(self); /* what setenv allocates is nobody's leak */
    setenv(CRN_CALLS_VARIABLE, text, 1);
    crn_busy_end(self);
}

void crn_sandbox_check(void)
{
    const char *obstacle = obstacle_find(&crn_sandbox_inherited);
    if (obstacle != NULL)
        obstacle_heed(obstacle);
}
