#ifndef CRN_RETAINED_H
#define CRN_RETAINED_H
/*
 * How many bytes of live memory only one coroutine retains.
 *
 * A live block belongs to a coroutine when every way from the roots to it leads through that
 * coroutine: first its stack or frame is read, then other blocks, and nobody else comes there.
 *
 *     global --> queue --> frame A --> block 1 --> block 2          A retains 1
 *                          frame B ------------------^              and nobody retains 2
 *
 * One flood from the roots enters no coroutine's body.  Then each living coroutine floods what that
 * did not reach, from its body; a block that two of them reach belongs to neither, nor does what
 * that leads to.  So a block belongs to A exactly when the roots do not reach it without a body,
 * and A's is the only body that does: the order in which they are asked changes nothing.
 *
 * Where this is not what would be freed if the coroutine ended:
 *   - No coroutine answers for another.  What A awaits in frame B, B retains; of B, A retains at
 *     most the block that the frame is.
 *   - A coroutine's own frame, and the block that its stack lies in, are not counted: stack_bytes
 *     says how large they are.
 *   - Several coroutines alike may together retain what none of them does alone: that counts for
 *     none.
 *   - A word that only looks like a pointer holds a block here as everywhere.
 *
 * Dead coroutines retain what is leaked with them: the leaks say that.  Colours are only read.
 */
#include "mark/mark.h"

/*
 * Fills bytes[number] for every coroutine that is not dead; other rows stay as they are.  `mark`
 * has run.  Takes 4 bytes a block while it works, and reads each block at most twice.  Returns
 * CRN_OK or CRN_ERR_NO_MEMORY (the rows then mean nothing).
 */
enum crn_status crn_mark_retained(struct crn_mark *mark, uint64_t *bytes);

/* Whether a block is a coroutine's frame, or a stack lies in it: what `bytes` leaves out. */
bool crn_mark_is_coroutine(const struct crn_mark *mark, uintptr_t start);

#endif
