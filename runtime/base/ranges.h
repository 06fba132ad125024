#ifndef CRN_RANGES_H
#define CRN_RANGES_H
/*
 * An ordered map from disjoint address ranges to numbers: which stack is this sp on?
 *
 * Two levels: a directory of chunks, each a sorted array of up to a page.  Find is two binary
 * searches; insert and remove move at most a page, and the directory only when a chunk splits or
 * empties, so a million stacks stay cheap.  The caller locks.
 */
#include "base/vm.h"

struct crn_ranges_item {
    uintptr_t start, end; /* [start, end) */
    uint64_t value;
};

struct crn_ranges {
    struct crn_span directory, chunks;
    uint32_t chunk_count; /* in the directory */
    uint32_t chunks_made; /* in the span */
    uint32_t free_chunk;  /* index + 1 of the first chunk given back, linked through `count` */
    size_t item_count;
};

/* Prepares for up to `items_max` ranges; false when there is no address space. */
bool crn_ranges_init(struct crn_ranges *ranges, size_t items_max);

/* The range that holds `address`, or NULL. */
struct crn_ranges_item *crn_ranges_find(const struct crn_ranges *ranges, uintptr_t address);

/* The first range that ends above `address`, or NULL; the pointer is good until the next change. */
struct crn_ranges_item *crn_ranges_first_above(const struct crn_ranges *ranges, uintptr_t address);

/* Adds a range that overlaps none that is there.  False: no memory. */
bool crn_ranges_insert(struct crn_ranges *ranges, uintptr_t start, uintptr_t end, uint64_t value);

/* Removes the range that starts at `start`, if any. */
void crn_ranges_remove(struct crn_ranges *ranges, uintptr_t start);

#endif
