#ifndef CRN_CHECK_LIVE_H
#define CRN_CHECK_LIVE_H
/*
 * The heap that is not leaked, as rows of the recording: by allocation stack, how much, how old,
 * whether it grows (growth.h), and who holds what grows.
 *
 * Two passes over the index, in memory of the mark's arena: one sums blocks and bytes by stack, the
 * other looks at the ages of the blocks of the CRN_LIVE_ROWS_MAX stacks that have most bytes.  What
 * is left is one row, of a stack that is not known, so that the rows add up.
 */
#include "mark/mark.h"
#include "record/draft.h"

enum { CRN_LIVE_ROWS_MAX = 4096, CRN_LIVE_CHAINS_MAX = 12 };

/*
 * Adds the rows, those that grow fastest first, then by bytes.  After the leaks are collected, for
 * it walks live memory for chains.  Without memory for it there are none, and one warning.
 */
void crn_live_add(struct crn_mark *mark, struct crn_draft *draft);

#endif
