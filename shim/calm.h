#ifndef CRN_CALM_H
#define CRN_CALM_H
/*
 * Signals wait while a registry of coroutines changes.
 *
 * A preemptive scheduler switches coroutines in a signal handler.  Came that in the middle of our
 * work, the lock would belong to a coroutine that does not run, and the next one on the same thread
 * would wait for it for ever.  So where a program has a handler that may switch, signals are
 * blocked from before we look at the thread's record until the registry is whole again.
 *
 *     struct crn_calm calm = crn_calm_begin();
 *     ... crn_shim_thread(), crn_busy_begin, the registry, crn_busy_end ...
 *     crn_calm_end(&calm);
 *
 * It costs two system calls, so it is done only after such a handler was installed: one for a
 * signal that is no farewell, no fault and no news of a child or a terminal.  malloc and free do
 * without: no handler may switch inside of them with any allocator.
 */
#include "base/base.h"

struct crn_calm {
    uint64_t mask; /* as it was */
    bool is_held;
};

extern _Atomic bool crn_handlers_may_switch;

void crn_calm_hold(struct crn_calm *calm);
void crn_calm_let(const struct crn_calm *calm);

CRN_INLINE struct crn_calm crn_calm_begin(void)
{
    struct crn_calm calm = {0, false};
    if (CRN_UNLIKELY(crn_handlers_may_switch))
        crn_calm_hold(&calm);
    return calm;
}

CRN_INLINE void crn_calm_end(const struct crn_calm *calm)
{
    if (CRN_UNLIKELY(calm->is_held))
        crn_calm_let(calm);
}

/* The program installs a handler of its own for this signal. */
void crn_calm_note_handler(int signal);

#endif
