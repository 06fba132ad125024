#ifndef CRN_ASK_PAST_H
#define CRN_ASK_PAST_H
/*
 * The last recording of each process that was asked, so that the next check of it can say what has
 * changed since.
 *
 * They lie in $XDG_STATE_HOME/coroner (place.h), mode 0600, under the process's number, when it was
 * started and the boot; a process that has become another program since is told by its recording.
 * The oldest ones go when there are more than CRN_PAST_MOST, or when they take more than
 * CRN_PAST_BYTES together.
 */
#include "record/reader.h"
#include "shim/launcher/ask/target.h"

enum { CRN_PAST_MOST = 16, CRN_PAST_BYTES = 256 << 20 };

/*
 * Opens the last recording of the same image of the process.  Answers false when there is none;
 * otherwise crn_record_close() is due.
 */
bool crn_past_open(const struct crn_target *target, const struct crn_recording *now,
                   struct crn_recording *past);

/* Keeps the recording as the last one, if there is room for it.  Without it, less can be said. */
void crn_past_keep(const struct crn_target *target, const struct crn_recording *recording);

#endif
