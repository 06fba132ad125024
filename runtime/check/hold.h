#ifndef CRN_HOLD_H
#define CRN_HOLD_H
/*
 * Keeps from the program what would reach it only because a check takes time.
 *
 * Signals: the thread that checks blocks all but those of faults, and gets what came meanwhile
 * when it is done.  The other threads stand still and get none.
 *
 * Clocks: at the end, the time that we take would let a timer fire which the program has left
 * behind for good.  So its timers, and its limit of processor time, stand still with it:
 *
 *     main returns   mark            handlers, destructors   confirm, report   it is gone
 *     ---- run ----  -- stopped ---  ------- run ----------  -------------- stopped
 */
#include "base/base.h"

#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

/* Blocks the calling thread's signals.  Answers what its mask was, for crn_signals_let. */
uint64_t crn_signals_hold(void);
void crn_signals_let(uint64_t mask_before);

/*
 * For a thread that will only end the process: lets those signals again that it sends itself by
 * writing, as libc does with what is left in streams.  What others send stays blocked.
 */
void crn_signals_let_writing(uint64_t mask_before);

enum { CRN_TIMERS_MAX = 64 };

struct crn_clocks {
    struct itimerval intervals[3]; /* setitimer's, by which */
    struct {
        int id; /* the kernel's */
        struct itimerspec left;
    } timers[CRN_TIMERS_MAX]; /* timer_create's */
    unsigned timer_count;
    struct rlimit processor; /* the limit of processor time */
    uint64_t processor_ns;   /* what had been taken of it */
};

/*
 * Stops them.  Going on again costs them nothing: what was left is left, and
 * the limit of processor time is as much later as we took of it, in whole seconds.  A hard limit,
 * which kills by SIGKILL, cannot be held.
 */
void crn_clocks_stop(struct crn_clocks *clocks);
void crn_clocks_go_on(const struct crn_clocks *clocks);

#endif
