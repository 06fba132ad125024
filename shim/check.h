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
#include "shim/state.h"

#include <ucontext.h>

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

/*
 * Has the recording at `path` rendered by the coroner command, if `has_news`, and deletes it.
 * Answers the code to exit with: `exit_code`, or --error-exitcode when it finds proven leaks; when
 * it cannot be run, `leak_code`.
 */
int crn_render(const char *path, int exit_code, int leak_code, bool has_news);

/* TMPDIR, as it was when the process began; NULL: not set. */
const char *crn_shim_temporary(void);

#endif
