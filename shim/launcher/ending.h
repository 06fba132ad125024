#ifndef CRN_LAUNCHER_ENDING_H
#define CRN_LAUNCHER_ENDING_H
/*
 * How the program ended, as only its parent knows; and what that adds to recordings, so that a
 * kept one says the same as the report of its run.
 */
#include <sys/resource.h>
#include <sys/types.h>

#include "record/reader.h"

enum { CRN_LAST_NAME_BYTES = 24 };

struct crn_ending {
    pid_t pid;
    int exit_code; /* -1 when a signal ended it */
    int signal;    /* 0 when it exited */
    uint64_t duration_ns;
    struct rusage usage; /* of it and of the descendants that were waited for */
    int interruption;    /* a signal by which somebody wanted an end of it; 0: none */
    char last_name[CRN_LAST_NAME_BYTES]; /* of the image it last was (comm); "": not known */
};

/* Writes the ending into a recording of the program, unless that was made while it went on. */
void crn_ending_amend(const struct crn_ending *ending, struct crn_recording *recording);

/* Makes the header of a recording true again after a change behind it. */
void crn_recording_seal(struct crn_recording *recording);

/*
 * Makes the recording of a program that left none: what was run and how it ended, not checked,
 * with `warning` to say why.
 */
void crn_ending_record(const struct crn_ending *ending, const char *path, char *const *argv,
                       const char *warning, struct crn_recording *recording);

#endif
