#ifndef CRN_REACH_H
#define CRN_REACH_H
/*
 * How much an object leads to.
 */
#include "mark/mark.h"

/*
 * The bytes of the block that holds `address` and of all blocks it leads to that `accept` takes;
 * the walk does not go on behind others.  Reads memory of the snapshot; the mark is as before.
 */
uint64_t crn_mark_reach_bytes(struct crn_mark *mark, uintptr_t address,
                              bool (*accept)(const struct crn_record *record, void *user),
                              void *user);

#endif
