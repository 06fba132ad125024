#ifndef CRN_WRITTEN_H
#define CRN_WRITTEN_H
/*
 * Which pages a forked child has written since the fork.
 *
 * fork(2) lets parent and child share every page until one of them writes to it.  The kernel tells
 * which pages of private memory are still shared ("exclusively mapped", bit 56 of a pagemap word,
 * Linux 4.2): those say what they said at the fork.  The converse does not hold, and need not: a
 * page is also the child's alone once its parent has written to it, or has ended.
 *
 *     the child    wrote it     did not
 *     shared       never (*)    yes: left out
 *     exclusive    yes          maybe
 *
 * (*) Two things would break that, so we ask for them first:
 *   - a child of the child's, by whatever call, shares all again that the child wrote.  So each
 *     process writes to a page that no other one ever writes to, its canary; while such a child
 *     lives, that page is shared.
 *   - KSM merges equal pages of processes that wish for it (ksm(8), PR_SET_MEMORY_MERGE).
 */
#include "base/base.h"

/* In a forked child, before anything is asked. */
void crn_written_after_fork(void);

/*
 * Whether every page that this forked child wrote can be told now.  All its threads stand still
 * until it is done asking (pages.h: crn_pages_leave_out_inherited).
 */
bool crn_written_is_told(void);

#endif
