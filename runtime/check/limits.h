#ifndef CRN_LIMITS_H
#define CRN_LIMITS_H
/*
 * The program's own limits, while a check is under way: it may have used up, or given up, what a
 * check and its recording need (setrlimit(2)).  They are put back before the program goes on.
 */
#include "base/base.h"

#include <sys/resource.h>

enum { CRN_LIMITS_COUNT = 4 };

struct crn_limits {
    struct rlimit before[CRN_LIMITS_COUNT];
    bool is_lifted[CRN_LIMITS_COUNT];
};

/*
 * Raises them as far as the process may: up to its hard limits, and beyond where it has the right
 * (CAP_SYS_RESOURCE).
 */
void crn_limits_lift(struct crn_limits *limits);
void crn_limits_restore(const struct crn_limits *limits);

#endif
