#ifndef CRN_TRIGGERS_H
#define CRN_TRIGGERS_H
/*
 * Checks that the program's user asked for beforehand: at a signal (--check-signal), by a clock
 * (--check-every), at a size (--check-at); and what coroner_check_request() asks for.
 *
 * Each is what `coroner check PID` is: the process starts that command for itself, in a way that the
 * program does not see, and the command asks and writes the report.
 *
 *     signal, clock, size --> errand (a thread of ours: live/thread.h)
 *                               `-- a process that shares our memory and waits for the command,
 *                                     `-- coroner check PID        so that the program need not
 *
 * One errand at a time; what is asked for meanwhile is due when it is over, once.
 */
#include "base/base.h"

#include <signal.h>

/* The options are read, and the process answers: from now on.  The constructor calls it. */
void crn_triggers_start(void);

/* In a forked child: it has no clock, signal and size go on. */
void crn_triggers_after_fork(void);

/* Has a check made soon; false: there is no command for it.  Async-signal-safe. */
bool crn_trigger_fire(void);

/* Whether a check is made at this signal. */
bool crn_trigger_is_signal(int signal);

/*
 * The program sets its handler for that signal: *action becomes ours, which calls the program's, and
 * *before what the program had set until now.  Where ours is read back, crn_trigger_read puts the
 * program's in its place.
 */
void crn_trigger_wrap(struct sigaction *action, struct sigaction *before);
bool crn_trigger_is_ours(const struct sigaction *action);
void crn_trigger_read(struct sigaction *action);

/* Our threads must be gone: for good, or for a moment (shim/places.c), and may come back. */
void crn_triggers_leave(void);
void crn_triggers_return(void);

#endif
