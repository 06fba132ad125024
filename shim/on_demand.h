#ifndef CRN_ON_DEMAND_H
#define CRN_ON_DEMAND_H
/*
 * Checks that the program asks for, while it goes on running.
 */
#include "shim/check.h"
#include "coroner/coroner.h"

/*
 * Beside enum coroner_check_flags: report only if there is a leak that counts for the exit code and
 * no suppression silences, where --output says; the answer is then whether there is one.
 */
enum { CRN_CHECK_JUDGED = 1 << 16 };

/*
 * Checks everything, or what belongs to a scope.  `flags`: enum coroner_check_flags.  Answers the
 * number of entries, which crn_finding_read gives to the same thread.  Aborts when the flags say so
 * and something is proven.  0 while another thread checks for more than a second.
 */
size_t crn_check_on_demand(struct crn_occasion occasion, unsigned flags,
                           struct coroner_summary *summary);

/* What the last check that was asked for called live. */
void crn_check_live_count(size_t *blocks, size_t *bytes);

/* Entry `index` of the calling thread's last check; false: there is none. */
bool crn_finding_read(size_t index, struct coroner_finding *finding);

#endif
