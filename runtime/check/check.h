#ifndef CRN_CHECK_H
#define CRN_CHECK_H
/*
 * One check, whoever asks for it: it stops the other threads, has a picture taken and judged,
 * drafts what must be drafted while the picture is fresh, and lets the threads go on.  Which of the
 * suspected blocks are still there is confirmed later, by who asked.
 */
#include "check/leaks.h"
#include "check/findings.h"
#include "snap/snap.h"

#include <ucontext.h>

/* One mark and what came of it.  Zeroed memory with the first four filled in is one to perform. */
struct crn_check {
    struct crn_draft *draft; /* gets warnings, chains and coroutines */
    struct crn_occasion occasion;
    uint64_t birth_from;                         /* judge only blocks born at or after */
    const ucontext_t *interrupted;               /* in a signal handler: what it interrupted */
    const struct crn_saved_registers *registers; /* where the program called; NULL: the caller's */
    bool lists_all;                              /* every coroutine, dead or not */
    bool sums_live;                              /* what is not leaked, by stack: see live.h */
    bool finds_spares;                           /* for a second one: see mark/spare.h */
    const struct crn_mark *earlier;              /* the mark before, if this is the second; or NULL */
    uint64_t line;                               /* of births, then: see crn_mark_run_again */
    bool only_new;                               /* findings that no earlier check told */

    uint32_t number; /* of the checks of this process, from 1 */
    bool is_done;    /* there is a verdict; the rest is filled in then */
    struct crn_snap snap;
    struct crn_mark mark;
    struct crn_check_leaks leaks;
    struct crn_check_findings findings;
    uint64_t pause_ns, check_ns;
    size_t own_bytes; /* the most memory it took */
    unsigned unseen;
};

/* Stops the other threads, marks, lets them go on.  Runs on a stack of its own. */
void crn_check_perform(struct crn_check *check);

/*
 * The parts of that, for a check in a copy of the process (runtime/live).
 *
 * Locks the registries, so that nobody who stands still is changing them; answers how many of them:
 * fewer than CRN_CHECK_REGISTRIES is a torn picture.
 */
enum { CRN_CHECK_REGISTRIES = 6 };
unsigned crn_check_lock(int tid);
void crn_check_unlock(unsigned locked);

/* The number of the check that is about to be made; the lock of crn_checks_begin is held. */
uint32_t crn_check_number_take(void);

/* In a copy of the process: nobody holds them, nor any other lock that a check takes. */
void crn_check_locks_forget(void);

/*
 * Takes the picture and marks it; without a verdict a warning says why.  The threads stand still, or
 * are not there.  Needs 256 KiB of stack.
 */
struct crn_taker;
struct crn_stopped_list;
void crn_check_judge(struct crn_check *check, const struct crn_stopped_list *stopped,
                     const struct crn_taker *taker, bool is_torn);

/* Gives back what a check holds. */
void crn_check_free(struct crn_check *check);

/*
 * One check at a time, and nobody drafts meanwhile.  False: another thread is at it for longer than
 * that, or the calling one itself, below a signal handler.
 */
bool crn_checks_begin(int tid, unsigned limit_ms);
void crn_checks_end(void);

/* In a forked child: no other thread is at it any more. */
void crn_checks_after_fork(void);

#endif
