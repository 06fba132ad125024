#ifndef CRN_CHECK_H
#define CRN_CHECK_H
/*
 * The check at the end of a process: mark when the end begins, confirm at the very end, report.
 *
 *     main returns / exit()  -->  crn_end_begin()    suspects
 *     handlers, destructors  ...                     some of them are freed
 *     very end               -->  crn_end_finish()   the rest is reported
 *
 * Each happens once a process; what comes too late, or in a vfork child, does nothing.
 */
#include "check/leaks.h"
#include "check/findings.h"
#include "check/host.h"
#include "snap/snap.h"

#include <ucontext.h>

/* One mark and what came of it.  Zeroed memory with the first four filled in is one to perform. */
struct crn_check {
    struct crn_draft *draft; /* gets warnings, chains and coroutines */
    struct crn_occasion occasion;
    uint32_t birth_from;                         /* judge only blocks born at or after */
    const ucontext_t *interrupted;               /* in a signal handler: what it interrupted */
    const struct crn_saved_registers *registers; /* where the program called; NULL: the caller's */
    bool lists_all;                              /* every coroutine, dead or not */
    bool only_new;                               /* findings that no earlier check told */

    bool is_done; /* there is a verdict; the rest is filled in then */
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

/* Gives back what a check holds. */
void crn_check_free(struct crn_check *check);

/*
 * One check at a time, and nobody drafts meanwhile.  False: another thread is at it for longer than
 * that, or the calling one itself, below a signal handler.
 */
bool crn_checks_begin(int tid, unsigned limit_ms);
void crn_checks_end(void);

/* The draft of this process's report, which findings of all checks go to. */
struct crn_draft *crn_process_draft(void);

/*
 * Writes a recording of a check that was performed and has it rendered to standard error, while the
 * program goes on.
 */
void crn_check_render(struct crn_check *check);

/*
 * Has a check that was performed rendered as --output says, provided that it found a leak which
 * counts for the exit code and no suppression silences; answers whether it did.
 */
bool crn_check_judge(struct crn_check *check);

/*
 * Makes the check of the end now, while the program goes on: what it finds is what the process
 * reports at its end, which gets no other check.  Answers whether there is a leak that counts for
 * the exit code and no suppression silences.
 */
bool crn_end_now(void);

/* Marks.  `exit_code` is what the process is about to exit with. */
void crn_end_begin(int exit_code);

/*
 * Confirms, writes the recording, and in a plain preload has it rendered.  Answers the code to
 * exit with: the given one, or --error-exitcode where that applies.
 */
int crn_end_finish(int exit_code);

/* Both at once, for a process that dies by `signal`; may not return (a plain preload may exit). */
void crn_end_by_signal(int signal, const ucontext_t *interrupted);

/* In a forked child: its end has not begun. */
void crn_end_after_fork(void);

#endif
