#ifndef CRN_RECORDING_H
#define CRN_RECORDING_H
/*
 * What a recording says of the process, and where it goes.
 */
#include "record/draft.h"

/* What the end knows of the process and its checks. */
struct crn_recording_facts {
    int exit_code, exit_signal;  /* signal 0: it exits */
    const char *obstacle;        /* why there was no check; NULL: nothing was in the way */
    bool has_verdict;            /* a check came to its end */
    bool has_failed;             /* one was tried, and did not */
    uint64_t pause_ns, check_ns; /* sums over the checks of the end */
    size_t check_bytes;          /* of the one that took most */
    unsigned unseen_threads;
    uint64_t coros_destroyed;
    uint32_t check_number; /* 0: nothing was left to check */
};

/* Fills in the process row, with warnings about what was not checked.  Once a draft. */
void crn_recording_fill(struct crn_draft *draft, const struct crn_recording_facts *facts);

/* Adds what process this is: executable, arguments, modules, what the program says of itself. */
void crn_recording_describe(struct crn_draft *draft);

/* Whether a draft has a leak that counts, as far as that shows without names and suppressions. */
bool crn_recording_has_leak(const struct crn_draft *draft);

enum crn_recording_place {
    CRN_RECORDED_NOWHERE,  /* it could not be written */
    CRN_RECORDED_LAUNCHER, /* into the session: the launcher reads it */
    CRN_RECORDED_APART     /* beside nobody's feet: whoever wrote it has it delivered */
};

/* Writes the recording of the process; `path` is then where it is. */
enum crn_recording_place crn_recording_write(struct crn_draft *draft, char *path,
                                             size_t path_bytes);

/* Writes one to deliver while the program goes on and to remove then; false: it cannot be. */
bool crn_recording_write_passing(struct crn_draft *draft, char *path, size_t path_bytes);
void crn_recording_remove(const char *path);

#endif
