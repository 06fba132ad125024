#ifndef CRN_MACHINE_H
#define CRN_MACHINE_H
/*
 * A system call as interrupted registers show it; the part of resume.c that each architecture has
 * to supply.
 *
 * x86-64 (machine_x86_64.c, leave_x86_64.S) keeps all six arguments over a call, and loses the
 * number, which is found in the code.  On aarch64 it will be the other way round: x8 keeps the
 * number, `svc #0` is 4 bytes, and the result overwrites the first argument.
 */
#include "base/base.h"

#include <ucontext.h>

enum crn_call_state {
    CRN_CALL_NONE,    /* the registers stand at no system call */
    CRN_CALL_ENDED,   /* right behind one that answered EINTR */
    CRN_CALL_COUNTED, /* right behind one that answered a number above 0 */
    CRN_CALL_COMING,  /* right before one, which the kernel lets the thread issue again */
};

struct crn_call {
    enum crn_call_state state;
    long number; /* -1: not known */
    long result; /* COUNTED: what it answered */
    uintptr_t arguments[6];
};

/* What the registers show.  A jump of ours that was interrupted itself is undone in them. */
struct crn_call crn_call_read(ucontext_t *context);

/* The call is issued (again) when the handler returns. */
void crn_call_issue(ucontext_t *context, const struct crn_call *call);

/* It ends with this result, a negative errno, when the handler returns. */
void crn_call_end(ucontext_t *context, const struct crn_call *call, long result);

/* Changes one of the call's arguments. */
void crn_call_argument_set(ucontext_t *context, unsigned argument, uintptr_t value);

/* The stack pointer that the call is made with. */
uintptr_t crn_call_sp(const ucontext_t *context);

/*
 * Leaves the handler for restart_syscall(2) in the call's place.  Answers false, with nothing done,
 * when that cannot be: the handler runs on the program's own stack, or there is no room on it.
 */
bool crn_call_restart(ucontext_t *context, const struct crn_call *call);

/*
 * When the handler returns, the thread waits up to `left_ns` for `events` (poll(2)) on the call's
 * descriptor, then issues the call, or ends it with `at_limit`.  False: as above.
 */
bool crn_call_poll_before(ucontext_t *context, const struct crn_call *call, short events,
                          uint64_t left_ns, long at_limit);

struct crn_partial;

/*
 * When the handler returns, the thread makes the calls of `partial`, whose second argument points
 * into the stack where that has a header; the call answers the sum.  False: as above.
 */
bool crn_call_complete(ucontext_t *context, const struct crn_call *call,
                       const struct crn_partial *partial);

/* A clock that is read in a few ns, in units of its own. */
uint64_t crn_ticks_now(void);

#endif
