#ifndef CRN_CHECK_LEAKS_H
#define CRN_CHECK_LEAKS_H
/*
 * From a mark to rows of the recording.
 *
 * Chains, holders and counts are drafted while the picture is fresh (collect); which blocks are
 * leaked in the end is decided when the program has torn itself down (confirm).
 */
#include "check/chains.h"

struct crn_check_leaks {
    struct crn_mark *mark;
    uint32_t *holder_rows; /* by holder: row in the draft + 1 */
    struct crn_chains chains;
    bool lists_objects; /* every leaked block, unless they are too many: to tell them again */
};

/* Drafts chains, coroutines and the counts of the mark.  `lists_all`: every coroutine, dead or not.
 */
void crn_leaks_collect(struct crn_check_leaks *leaks, struct crn_mark *mark,
                       struct crn_draft *draft, bool lists_all);

/* Why the blocks of a group are leaks, in a clause. */
const char *crn_group_why(const struct crn_mark *mark, const struct crn_group *group);

/* Whether a suspect concerns the scope that the check was asked about. */
bool crn_group_is_asked(const struct crn_mark *mark, const struct crn_group *group,
                        const struct crn_suspect *suspect);

/*
 * Drafts the leaks: groups of suspects that are still allocated.  A block born at or after
 * `born_before` is another one at the same address.  `has_totals`: the live counts are of this
 * mark.
 */
void crn_leaks_confirm(struct crn_check_leaks *leaks, struct crn_draft *draft, uint64_t born_before,
                       bool has_totals);

#endif
