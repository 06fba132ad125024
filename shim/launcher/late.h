#ifndef CRN_LAUNCHER_LATE_H
#define CRN_LAUNCHER_LATE_H
/*
 * The report of a process for which nobody waits: one that outlived its launcher, or whose standard
 * streams lead nowhere.
 */
#include "options/options.h"
#include "report/model.h"
#include "shim/launcher/kin.h"

/* The system's log as a place (--late-reports). */
#define CRN_LATE_LOG "log"

enum crn_late {
    CRN_LATE_WRITTEN, /* to a file */
    CRN_LATE_LOGGED,  /* to the system's log, which may or may not be kept: keep the recording */
    CRN_LATE_FAILED   /* and nothing has been said */
};

/*
 * Writes the report of one process to `options->late_reports`: a directory, with a slash behind, in
 * which a file report-NAME-PID is made; or else a file that we have named; or the system's log.
 * Nothing that another user could have put there is written to (place.h).
 */
enum crn_late crn_late_report(const struct crn_report *report, const struct crn_options *options);

/* Whether options want that: crn_late_foretell() says nothing otherwise. */
bool crn_late_is_foretold(const struct crn_options *options);

/*
 * Says which processes of the session at `directory` live on with the shim in them, and where
 * their reports will be; `directory` is as they know it.  `kin` was noted before the program began.
 */
void crn_late_foretell(const char *directory, const struct crn_kin *kin,
                       const struct crn_options *options);

#endif
