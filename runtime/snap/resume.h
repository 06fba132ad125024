#ifndef CRN_RESUME_H
#define CRN_RESUME_H
/*
 * Lets a blocking system call go on as if our signal had not come.
 *
 * The handler that stops a thread calls crn_resume last.  It looks at the interrupted registers: do
 * they stand right behind a system call that ended with EINTR?  The table of calls.h says how that
 * one goes on, and the registers are changed accordingly.
 *
 *     AGAIN   back to the instruction, with the call's number: sigreturn issues it again
 *     limit   the same, with the time that is left; see crn_call_note
 *     BLOCK   restart_syscall(2), which must come before any sigreturn: the kernel forgets there
 * how the call goes on.  So the handler is left by a jump that restores all registers socket  its
 * limit is an option of the socket: poll for what is left of it, then again
 *
 * A signal of the program's may have come meanwhile.  It waits for our handler to return, and then
 * it must end the call as it would have without us: crn_resume leaves EINTR, or puts it there where
 * the kernel would restart, as the SA_RESTART of that signal's handler says.
 *
 * Between that look at the pending signals and the call's next sleep lie some 200 ns.  A signal
 * that comes then runs its handler, and does not end the call.
 */
#include "base/base.h"

#include <signal.h>
#include <ucontext.h>

/*
 * Has the call go on whose registers are given.  `entered_ns` is when the handler began, on the
 * clock of crn_now_ns.  May not return: then the thread runs on from there.
 */
void crn_resume(ucontext_t *context, uint64_t entered_ns);

/*
 * Notes that the calling thread is about to make this call, whose time limit the kernel will not
 * write back.  Without a note the limit counts from the first stop.  A few ns.
 */
void crn_call_note(long number, uintptr_t first, uintptr_t second);

/* Call it once, early: from now on the age of a note can be told. */
void crn_resume_start(void);

/*
 * syscall(2) gives the number away in a register that the system call destroys.  Ours stores it in
 * crn_syscall_number, and its system call returns to `issued`.
 */
void crn_resume_trust_syscall(const void *issued);
extern __thread long crn_syscall_number __attribute__((tls_model("initial-exec")));

#endif
