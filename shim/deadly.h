#ifndef CRN_DEADLY_H
#define CRN_DEADLY_H
/*
 * Every end by a signal that has a check: base/signals.h lists them.
 *
 * Where such a signal has its default disposition, a handler of ours stands in for it.  It checks,
 * reports, and then lets the process die by that signal as it would have.  The program is shown
 * SIG_DFL.  What the program ignores or handles is left alone.
 */
#include "base/base.h"

#include <signal.h>

/* Puts our handler where the default disposition is; the constructor calls it. */
void crn_deadly_start(void);

/* Puts the default dispositions back: the process will not be able to end by the signal itself. */
void crn_deadly_retire(void);

/* In a forked child, which may be pid 1 of a namespace where its parent was not, or the reverse. */
void crn_deadly_after_fork(int parent_pid);

/*
 * Whether our handler is to stand in for SIG_DFL of this signal, now and in this process: not in a
 * vfork child, nor for pid 1, whose deadly signals the kernel drops unless there is a handler.
 */
bool crn_deadly_stands_in(int signal);

/* Installs our handler; the program sees SIG_DFL. */
void crn_deadly_install(int signal);

/* Whether this is our handler, to be shown as SIG_DFL. */
bool crn_deadly_is_ours(const struct sigaction *action);
bool crn_deadly_is_handler(void (*handler)(int));

#endif
