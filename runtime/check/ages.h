#ifndef CRN_CHECK_AGES_H
#define CRN_CHECK_AGES_H
/*
 * How old the blocks of a leak, or coroutines alike, are: the oldest and the youngest, and the
 * median, which is exact up to CRN_AGES_KEPT blocks and then that of as many chosen at random
 * (algorithm R: J. S. Vitter, "Random sampling with a reservoir", 1985).
 */
#include "heap/heap.h"
#include "record/format.h"

enum { CRN_AGES_KEPT = 15 };

/* Zeroed memory has noted nothing. */
struct crn_ages {
    uint64_t oldest, youngest; /* births */
    uint64_t count;
    uint64_t kept[CRN_AGES_KEPT];
};

/* Notes one by its birth. */
void crn_ages_note(struct crn_ages *ages, uint64_t birth);

/* The ages now; unknown where nothing was noted. */
struct crn_record_ages crn_ages_get(struct crn_ages *ages, struct crn_heap *heap);

#endif
