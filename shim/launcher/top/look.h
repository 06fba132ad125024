#ifndef CRN_TOP_LOOK_H
#define CRN_TOP_LOOK_H
/*
 * One look at a process: `coroner check` in a child of ours, whose JSON report comes back.
 *
 * The child meets the process, names and groups what there is; so whatever goes wrong, or takes
 * long, leaves the screen alone.  It is a process group of its own, which keys of the terminal do
 * not reach, and ends when we do.
 */
#include "report/model.h"

#include <sys/types.h>

struct crn_look_wish {
    const char *pid;            /* as the user gave it */
    const char *const *options; /* further arguments of `coroner check`, ending with NULL */
    const struct crn_suppressions *suppressions; /* none: the check has applied them */
};

struct crn_look {
    pid_t child; /* 0: none is under way */
    int report;  /* a file in memory that the child writes to */
    int words;   /* what it says; readable when it says or ends: for poll() */
    char said[1024];
    size_t said_count;
    double began_s; /* CLOCK_MONOTONIC */
};

enum crn_look_end {
    CRN_LOOK_GOES_ON,
    CRN_LOOK_DONE,  /* there is a report */
    CRN_LOOK_FAILED /* `said` is why: whole lines, or nothing */
};

/* Begins one.  Answers false after saying why it cannot. */
bool crn_look_begin(struct crn_look *look, const struct crn_look_wish *wish);

/*
 * Takes what the child has to say, without waiting.  When it is done *report is there, the caller's
 * to destroy, and *status is how the check exited; also when it failed.
 */
enum crn_look_end crn_look_take(struct crn_look *look, const struct crn_look_wish *wish,
                                struct crn_report **report, int *status);

/* Ends one that is under way, which leaves the process as it was; waits for that. */
void crn_look_stop(struct crn_look *look);

/* CLOCK_MONOTONIC. */
double crn_look_now_s(void);

#endif
