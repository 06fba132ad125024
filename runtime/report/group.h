#ifndef CRN_REPORT_GROUP_H
#define CRN_REPORT_GROUP_H
/*
 * Makes one of what a reader could not tell apart, and puts the biggest first.
 *
 * The target groups by raw addresses; two call sites on one line, or one function inlined into
 * another twice, only become alike once they have names.
 */
#include "report/model.h"

/* How much there is to learn from a leak: what samples explain is told by those they fell on. */
uint64_t crn_leak_bytes(const struct crn_leak *leak);

/*
 * Merges leaks of equal key, in place, and sorts; answers how many are left.  `are_sampled`: so
 * were the stacks, and what samples stand for counts when it comes to the biggest.
 */
size_t crn_leaks_group(struct crn_leak *leaks, size_t count, bool are_sampled);

/*
 * Merges live rows of equal key, in place, and sorts: what grows fastest first, then the biggest.
 * Answers how many are left.
 */
size_t crn_live_group(struct crn_live *rows, size_t count);

/* Merges coroutines of equal key, in place, and sorts; answers how many are left. */
size_t crn_coroutines_group(struct crn_coroutine *coroutines, size_t count);

#endif
