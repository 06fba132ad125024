#ifndef CRN_LIVE_H
#define CRN_LIVE_H
/*
 * Checks of a program that goes on, asked for from outside (ask.h).
 *
 *     asker's signal --> a handler in some thread of the program: begins the conductor, returns
 *     conductor          gets a descriptor table of its own, connects, gets the request,
 *       (thread)         finds out what a copy of the process would not show (snap/beforehand.h),
 *                        stops the program's threads,
 *                        saves that, makes the snapshot child,           } the pause
 *                        lets the threads go on,
 *                        watches the child, reaps it, makes huge pages whole, says that it is over
 *     snapshot child     marks, drafts and sends the recording; it has all the time in the world
 *
 * Nothing of it is there before, and nothing after: the conductor is a thread that libc does not
 * know, and the child one that sends no signal and that no plain wait sees.
 */
#include "base/base.h"

/* From now on the process answers.  The constructor calls it, in the thread that runs main. */
void crn_live_start(void);

/*
 * The process is about to change who or where it is, or to end: waits until the conductor is gone,
 * some seconds at most.  `ends`: the child may go on and answer, else it is ended, too.
 */
void crn_live_leave(bool ends);

/*
 * How many checks from outside have been made or refused; and a wait until that is no more what it
 * was `before`, limit_ns at most.  For tests.
 */
uint32_t crn_live_finished(void);
void crn_live_await(uint32_t before, uint64_t limit_ns);

/* In a forked child: no check is under way. */
void crn_live_after_fork(void);

#endif
