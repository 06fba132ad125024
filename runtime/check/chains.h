#ifndef CRN_CHAINS_H
#define CRN_CHAINS_H
/*
 * Chains: how something live leads to a leak, as links of the recording.
 */
#include "mark/mark.h"
#include "record/draft.h"

/* By group of the mark: the row of its first link, and how many follow each other. */
struct crn_chains {
    uint32_t *first, *counts;
};

/* One step of a chain as a link of the draft. */
struct crn_record_link crn_step_link(struct crn_draft *draft, const struct crn_mark *mark,
                                     const struct crn_chain_step *step);

/*
 * Drafts the chain of every group that has a holder; `holder_rows`: by holder, its row + 1.  The
 * caller gives zeroed room for as many groups as there are.  Only the first 1024 chains start at a
 * root: each takes a search of its own.
 */
void crn_chains_add(struct crn_chains *chains, struct crn_mark *mark, struct crn_draft *draft,
                    const uint32_t *holder_rows);

#endif
