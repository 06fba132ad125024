#ifndef CRN_END_H
#define CRN_END_H
/*
 * The check at the end of a process: mark when the end begins, confirm at the very end, report.
 *
 *     main returns / exit()  -->  crn_end_begin()    suspects
 *     handlers, destructors  ...                     some of them are freed
 *     very end               -->  crn_end_finish()   the rest is reported
 *
 * Each happens once a process; what comes too late, or in a vfork child, does nothing.
 */
#include "base/switch.h"
#include "record/draft.h"

#include <ucontext.h>

/*
 * Marks.  `from`: the registers of the program's code that ends it.  The stack counts from their
 * rsp: what lies deeper, our frames and libc's, is the end's own.  NULL: not known, so the caller's.
 */
void crn_end_begin(const struct crn_saved_registers *from);

/*
 * Confirms, writes the recording, and in a plain preload has it rendered.  Answers the code to
 * exit with: the given one, or --error-exitcode where that applies.  `from` as above, if the end
 * has not begun yet: exit() was called inside libc.
 */
int crn_end_finish(int exit_code, const struct crn_saved_registers *from);

/* Both at once, for a process that dies by `signal`; may not return (a plain preload may exit). */
void crn_end_by_signal(int signal, const ucontext_t *interrupted);

/*
 * Makes the check of the end now, while the program goes on: what it finds is what the process
 * reports at its end, which gets no other check.  Answers whether there is a leak that counts for
 * the exit code and no suppression silences.
 */
bool crn_end_now(const struct crn_saved_registers *from);

/*
 * Says now that the process will not be checked, and why; the host is then silent.  In a plain
 * preload that is a line, otherwise a recording.
 */
void crn_end_give_up(const char *why);

/* The draft of this process's report, which findings of all checks go to. */
struct crn_draft *crn_process_draft(void);

/* In a forked child: its end has not begun. */
void crn_end_after_fork(void);

#endif
