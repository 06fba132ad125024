#ifndef CRN_FLOW_H
#define CRN_FLOW_H
/*
 * Does a stack that is parked have anything left to do?
 *
 * Libraries begin a coroutine in a function of theirs, a trampoline: it calls the coroutine's entry
 * through a pointer, and when that returns it switches away, for good or until a pool gives the
 * stack another entry to run:
 *
 *     for (;;) {                               call *8(%rbx)
 *         self->entry(self->argument);   ->    movl $ENDED, 16(%rbx)
 *         self->state = ENDED;                 call switch_back
 *         switch_back();                       jmp  <- here it is parked
 *     }
 *
 * So when the outermost function has a call through a pointer before the one it is parked in, when
 * the frames that switched away would return to it at once, and when its code from there on leads
 * only to a trap, to a call that does not return, or around to a call through a pointer, with no
 * other call on the way, its entry has returned.  A fiber that takes jobs from a queue looks the
 * same while it waits for its next one, when it takes them without a call; so what the frames hold
 * that are still there counts as ever.  What is told is that nothing of those below them will run
 * again.
 *
 * What is not understood has neither ended nor returns.  All read code only, inside `code`; any
 * thread; they take no lock.
 */
#include "code/code.h"

/* Whether a frame that goes on at `return_address`, behind a call, returns without another call. */
bool crn_flow_returns(const struct crn_code *code, uintptr_t return_address);

/* Whether the call before `return_address` is one that never returns. */
bool crn_flow_never_returns(const struct crn_code *code, uintptr_t return_address);

/* Whether the outermost frame, which goes on at `return_address`, has nothing left to do. */
bool crn_flow_has_ended(const struct crn_code *code, uintptr_t return_address);

#endif
