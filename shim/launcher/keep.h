#ifndef CRN_LAUNCHER_KEEP_H
#define CRN_LAUNCHER_KEEP_H
/*
 * Keeps raw recordings for --record.
 */
#include "record/reader.h"

/*
 * Copies a recording, mode 0600, to the place that `pattern` means for it.
 *
 * %p in the pattern is the pid.  Without one, the program's own recording (`is_program`) goes to
 * the pattern itself and another process's to FILE.PID.  `image` counts what a pid ran before its
 * last image: 0 is the last, others get .IMAGE appended.
 *
 * Answers false after saying why it cannot.
 */
bool crn_recording_keep(const struct crn_recording *recording, const char *pattern, bool is_program,
                        uint64_t image);

#endif
