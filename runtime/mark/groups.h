#ifndef CRN_GROUPS_H
#define CRN_GROUPS_H
/*
 * Leaks in the making: suspects, the groups they belong to, the coroutines that hold them.
 *
 * Both tables are found by a hash of what their rows share, and only grow.
 */
#include "mark/mark.h"

struct crn_groups {
    struct crn_mark *mark;
    struct crn_suspect *suspects;
    size_t suspect_count;
    struct crn_span suspects_span, groups_span, holders_span;
    uint32_t *group_slots, *holder_slots; /* open addressing: index + 1 */
    size_t group_mask, holder_mask;
    size_t group_count, holder_count;
    uint32_t *holder_of; /* by number of a coroutine: index + 1, 0: not asked yet */
};

bool crn_groups_init(struct crn_groups *groups, struct crn_mark *mark);

/* The group of a direct block like `key` (its counts are ignored), as index + 1; 0: no memory. */
uint32_t crn_groups_group(struct crn_groups *groups, const struct crn_group *key);

/* The holder of a dead coroutine, as index + 1; 0: no memory. */
uint32_t crn_groups_holder(struct crn_groups *groups, uint32_t number, enum crn_verdict verdict);

/* Enters a suspect.  Its group counts it later, if it is still there when it is reported. */
bool crn_groups_suspect(struct crn_groups *groups, const struct crn_suspect *suspect);

/* Hands the tables to the mark. */
void crn_groups_finish(struct crn_groups *groups);

#endif
