#ifndef CRN_READABLE_H
#define CRN_READABLE_H
/*
 * Walking a range of the program's memory around what must not be read.
 */
#include "snap/snap.h"

/*
 * Calls `visit` for each part of [start, end) that can be read, ascending.  `is_sparse`: only pages
 * that have contents; `is_copy_only`: of a file mapping, only pages that were written.
 */
void crn_readable_for_each(const struct crn_snap *snap, struct crn_range range, bool is_sparse,
                           bool is_copy_only,
                           void (*visit)(uintptr_t start, uintptr_t end, void *user), void *user);

/* The first unreadable range that ends above `address`, as an index. */
size_t crn_unreadable_above(const struct crn_snap *snap, uintptr_t address);

#endif
