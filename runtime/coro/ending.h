#ifndef CRN_ENDING_H
#define CRN_ENDING_H
/*
 * Coroutines that are parked for good.
 *
 * Many coroutines never return from their entry function.  The last thing they do is to switch
 * away, and what a resume would run is only the rest of the frames around it:
 *
 *     for (;;) {                        resumed, it takes a new entry from memory:  it waits in a
 * pool self->entry(self->argument); switch_to(self->caller);      <- parked here
 *     }
 *
 *     entry(argument);
 *     switch_to(scheduler);             <- parked here: resumed, it would trap or end
 *     abort();
 *
 * Whoever was called from such a frame has returned: what those calls left below sp belongs to a
 * coroutine that has run to its end.  A fiber that switches in its entry function and goes on with
 * its work looks much alike, so every path from there is followed by the code (code/function.h),
 * and one that does anything else, or that we cannot follow, makes it an ordinary suspended
 * coroutine:
 *
 *     for (;;) {
 *         work();                       resumed, it goes on: live
 *         switch_to(scheduler);         <- parked here
 *     }
 */
#include "code/function.h"
#include "stack/unwind.h"

enum crn_ending {
    CRN_ENDING_NONE,   /* it goes on when it is resumed, or nobody can tell */
    CRN_ENDING_POOLED, /* it only begins anew: its frames are needed for that, what they called is
                          gone */
    CRN_ENDING_OVER,   /* it never does anything again: nobody reads its frames either */
};

/* What is known of return addresses, for one check. */
struct crn_endings;
struct crn_endings *crn_endings_create(void); /* NULL: no decoder is there, or no memory */
void crn_endings_destroy(struct crn_endings *endings);

/*
 * How a coroutine ends that stopped in the frame `stopped`, on the stack [bounds).  One whose entry
 * function may yet return to code is no such one.  Reads the stack and code.  `endings` may be
 * NULL: CRN_ENDING_NONE then.
 */
enum crn_ending crn_ending_find(struct crn_endings *endings, const struct crn_code *code,
                                struct crn_frame stopped, struct crn_stack_bounds bounds);

#endif
