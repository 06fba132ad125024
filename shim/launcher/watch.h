#ifndef CRN_LAUNCHER_WATCH_H
#define CRN_LAUNCHER_WATCH_H
/*
 * Runs the program and waits for its end, as transparently as a shell would.
 */
#include "shim/launcher/ending.h"
#include "shim/launcher/handoff.h"

/*
 * Executes the file `path` with `argv` in a child of the same process group, with the handoff's
 * variables (NULL: without), and waits until it has ended.  `streams` are the three descriptors
 * that it finds as its standard streams; NULL: ours.  `started`, unless NULL, is called once it
 * runs.
 *
 * The terminal's signals reach the child by themselves; those that somebody sends to this process
 * alone (QUIT, and all in base/signals.h but PIPE) are passed on to it.  HUP, INT, QUIT and TERM
 * from anybody else than the child count as an interruption.  With `started`, those wait from
 * the program's end on: a report is due (attend.h).
 *
 * Answers 0, or the errno with which the program could not be started.
 */
int crn_watch(const char *path, char **argv, const struct crn_handoff *handoff, const int *streams,
              void (*started)(void *user), void *user, struct crn_ending *ending);

#endif
