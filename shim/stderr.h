#ifndef CRN_STDERR_H
#define CRN_STDERR_H
/*
 * Where words of ours may go in the program's process: its standard error, while there is one.
 *
 * While the program runs we hold no copy of descriptor 2: whoever reads its other side shall see
 * the program close it.  The copy is made when the end begins, since programs close descriptor 2 in
 * their last handlers, too.
 *
 *     start          note which file descriptor 2 is
 *     ...            the program may close it, replace it, use the number for something else
 *     end begins     copy descriptor 2, if words may go there
 *     report         to the copy
 */

#include "base/base.h"

/* What descriptors 1 and 2 are now are the standard streams; the constructor calls it. */
void crn_stderr_note(void);

/* The end begins.  Async-signal-safe. */
void crn_stderr_hold(void);

/* In a forked child: its end has not begun.  A copy would hold on to what a daemon lets go. */
void crn_stderr_after_fork(void);

/* The descriptor for words of ours; -1: there is none.  Async-signal-safe. */
int crn_stderr_find(void);

/* Whether descriptor 1 is standard output still, or may stand for it; not held beyond its closing.
 */
bool crn_stdout_is_there(void);

#endif
