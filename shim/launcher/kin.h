#ifndef CRN_LAUNCHER_KIN_H
#define CRN_LAUNCHER_KIN_H
/*
 * Which processes may be left of the program's, without a look at all processes of the machine.
 *
 * When a process ends, its children become children of one of its ancestors: of the nearest that
 * wished for that (PR_SET_CHILD_SUBREAPER), or of process 1.  The program was our child, so
 * whatever is left of it hangs below an ancestor of ours that has a child more than before:
 *
 *     process 1 --- ... --- shell --- coroner --- program (gone)
 *         |
 *         `-- left --- its children
 *
 * /proc/PID/task/PID/children lists them (Linux 3.5, CONFIG_PROC_CHILDREN).
 */
#include "base/base.h"

enum { CRN_KIN_MAX = 32 };
struct crn_kin {
    int ancestors[CRN_KIN_MAX];
    char *children[CRN_KIN_MAX]; /* as that file says */
    unsigned count;
    bool is_known; /* else every process may be one */
};

/* Notes who there is before the program starts. */
void crn_kin_note(struct crn_kin *kin);
void crn_kin_forget(struct crn_kin *kin);

/* Calls `visit` for each process that may be left, now that the program has ended. */
void crn_kin_for_each(const struct crn_kin *kin, void (*visit)(int pid, void *user), void *user);

#endif
