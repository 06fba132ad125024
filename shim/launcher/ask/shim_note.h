#ifndef CRN_ASK_SHIM_NOTE_H
#define CRN_ASK_SHIM_NOTE_H
/*
 * Which Coroner a process runs under, read from the file of the shim that it has mapped.
 *
 * The file carries a note (live/ask.h).  Where the file is no longer the one that was mapped (an
 * upgrade took its place) nobody can tell, and we ask: the answer tells, or there is none.
 */
#include "base/base.h"

#include <sys/types.h>

/* The file of a mapping, as /proc/PID/maps has it. */
struct crn_shim_file {
    char path[4096]; /* as the process sees it */
    dev_t device;
    ino_t inode;
};

/* Takes it from a line of that file. */
bool crn_shim_file_read(struct crn_shim_file *file, const char *line);

/*
 * Whether we understand what it would answer; `view` is its directory in /proc.  If not, `why` is a
 * clause about the process, always terminated.
 */
bool crn_shim_file_is_understood(const struct crn_shim_file *file, int view, char *why,
                                 size_t why_bytes);

#endif
