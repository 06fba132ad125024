#ifndef CRN_ERRAND_H
#define CRN_ERRAND_H
/*
 * Has `coroner check` of this process made by the command that it is, unseen by the program.
 */
#include "base/base.h"

/* Whether there is such a command.  Async-signal-safe. */
bool crn_errand_is_possible(void);

/*
 * Starts the command and waits for its end, or until *must_leave is set.  In a thread of ours
 * (live/thread.h), which from then on has a descriptor table of its own.
 */
void crn_errand_run(_Atomic uint32_t *must_leave);

#endif
