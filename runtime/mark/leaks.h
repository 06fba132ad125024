#ifndef CRN_LEAKS_H
#define CRN_LEAKS_H
/*
 * Floods over what is not live: what verdict.c and lost.c share, and the latter's part.
 */
#include "mark/ahead.h"
#include "mark/groups.h"

struct crn_leak_flood {
    struct crn_scan scan; /* first: of bodies; visitors cast back */
    struct crn_mark *mark;
    struct crn_groups *groups;
    struct crn_flood flood; /* from block to block */
    enum crn_verdict verdict;
    enum crn_confidence confidence;
    uint32_t coro; /* whose body is scanned, number + 1 */
    uint32_t holder;
    uint32_t place;     /* index + 1 of the dead word's; 0: it is none, or was declared done */
    uint32_t group;     /* of the direct block that is flooded from */
    bool has_held_more; /* the handle of a completed one was found in what a likely one left */
    bool is_out_of_memory;
};

/* Enters one white block as leaked; answers its group. */
uint32_t crn_leak_enter(struct crn_leak_flood *flood, const struct crn_target *target,
                        bool is_direct, uintptr_t address);

/* Floods from one block; everything new it leads to is indirect, in its group. */
void crn_leak_follow(struct crn_leak_flood *flood, const struct crn_target *block, uint32_t group);

/* Judges what is still white; the bits say what is. */
void crn_lost_find(struct crn_leak_flood *flood);

#endif
