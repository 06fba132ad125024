#ifndef CRN_CHECK_COROS_H
#define CRN_CHECK_COROS_H
/*
 * Coroutines as rows of the recording: the dead that leaks name, and on demand the living.
 *
 * A row stands for all coroutines alike (same mechanism, state, entry function and stacks), and its
 * bytes are the sums of theirs.
 */
#include "mark/mark.h"
#include "record/draft.h"

/* Adds a row that only a link of a chain refers to; answers its row + 1. */
uint32_t crn_link_coro_add(struct crn_draft *draft, const struct crn_snap *snap, uint32_t number);

/*
 * Adds the dead: rows[i] becomes row + 1 of the mark's holder i.  What they retain is what is
 * leaked with them, but for their own stacks and frames.  `is_list`: how much of their stacks was
 * touched is found out for all of them; else only for one that is alone.
 */
void crn_dead_coros_add(struct crn_draft *draft, struct crn_mark *mark, uint32_t *rows,
                        bool is_list);

/*
 * Adds the others, with what only they retain (mark/retained.h).  That takes a flood of its own, which
 * a check of a program that goes on does without where there are millions of blocks.
 */
void crn_living_coros_add(struct crn_draft *draft, struct crn_mark *mark);

#endif
