#ifndef CRN_SIGNALS_H
#define CRN_SIGNALS_H
/*
 * What the interposed functions about signals share.
 */
#include "base/base.h"

#include <signal.h>

struct crn_thread;

/* sigaction as the program sees it: every interposed function that sets a handler ends here. */
int crn_signal_action(int signal, const struct sigaction *action, struct sigaction *old);

/* libc itself is about to set a handler: what the one before had asked for is over. */
void crn_signal_onstack_forget(int signal);

/* Gives the calling thread an alternate stack of ours, unless it has one. */
void crn_signal_stack_give(struct crn_thread *self);

/* Unblocks our signal: glibc makes threads of its own with all signals blocked. */
void crn_stop_signal_open(void);

#endif
