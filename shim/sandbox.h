#ifndef CRN_SANDBOX_H
#define CRN_SANDBOX_H
/*
 * A program that goes into a sandbox (seccomp(2)), or was started in one: what it may not call, we
 * do without (base/calls.h); what we need is prepared before it goes there.
 */
#include "base/calls.h"

struct crn_sandbox {
    bool is_strict;
    bool is_unknown; /* what it forbids; filled in, too */
    struct crn_filter filter;
    struct crn_calls_state before; /* filled in by crn_sandbox_prepare */
};

/* Just before the program goes there.  Where no check will be possible, this says so. */
void crn_sandbox_prepare(struct crn_sandbox *sandbox);

/* It did not get there. */
void crn_sandbox_failed(const struct crn_sandbox *sandbox);

/* For a process that began under a filter, once all is up: where no check is possible, says so. */
void crn_sandbox_check(void);

/* What is forbidden, into the environment of what the program executes; libc must be up. */
void crn_sandbox_tell(void);

#endif
