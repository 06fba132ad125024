#ifndef CRN_REPORT_GROUP_H
#define CRN_REPORT_GROUP_H
/*
 * Makes one of what a reader could not tell apart, and puts the biggest first.
 *
 * The target groups by raw addresses; two call sites on one line, or one function inlined into
 * another twice, only become alike once they have names.
 */
#include "report/model.h"

/* Merges leaks of equal key, in place, and sorts; answers how many are left. */
size_t crn_leaks_group(struct crn_leak *leaks, size_t count);

/* Merges coroutines of equal key, in place, and sorts; answers how many are left. */
size_t crn_coroutines_group(struct crn_coroutine *coroutines, size_t count);

#endif
