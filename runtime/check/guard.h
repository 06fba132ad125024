#ifndef CRN_GUARD_H
#define CRN_GUARD_H
/*
 * Runs the check so that a fault of ours does not take the program down.
 *
 * A check reads all of the program's memory.  A thread that did not stop may unmap some of it
 * under our eyes, a file may shrink, a page may be one that nobody can read; then the function is
 * given up, and whoever called it tries again without touching that (crn_snap_evade).
 */
#include "base/base.h"

/*
 * Calls function(argument); answers false when it was given up because of a fault, whose address
 * is then in *fault.  One caller at a time.  A fault in another thread goes to the handler the
 * program installed.
 */
bool crn_guarded_call(void (*function)(void *argument), void *argument, uintptr_t *fault);

/*
 * From here on the caller is the only thread there will be: what a guarded function asks of
 * crn_memory_read is copied at once, and a fault there is its answer.
 */
void crn_guard_alone(void);

/* In a forked child: the call that another thread had under way is the parent's. */
void crn_guard_after_fork(void);

#endif
