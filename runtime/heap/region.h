#ifndef CRN_REGION_H
#define CRN_REGION_H
/*
 * The one range of addresses in which jemalloc's memory lies, so that "is it heap" is one compare.
 *
 * Extent hooks would be the usual way.  We serve jemalloc's own mmap and munmap instead (the shim
 * interposes both and tells by the caller): no arena escapes, not the first one that exists
 * before hooks can be set, not one the program makes, and neither MALLOC_CONF nor `retain`
 * matters.  See runtime/heap/README.md.
 *
 *     base                                                            next          end
 *      | guard | 2 MiB .. | 2.5 MiB | ..  mapped, ascending            | claimed ..  |
 *
 * Ranges jemalloc gives back are unmapped, kept in a short list and served again, first fit.  Every
 * range that is served is mapped afresh at that moment, so it is zero, whatever was there before
 * and whatever the kernel refused meanwhile.
 */
#include "base/lock.h"
#include "base/vm.h"

struct crn_region_gap {
    uintptr_t start, end;
    bool is_mapped; /* the kernel refused to unmap it: its old contents may still be there */
};

struct crn_region {
    uintptr_t base, end;    /* [base, end); base == end when there is no region */
    _Atomic uintptr_t next; /* everything mapped so far lies below */
    struct crn_lock lock;   /* guards gaps[] */
    unsigned gap_count;
    struct crn_region_gap gaps[256];
};

/*
 * Claims a region of 1 TiB.  Answers false when that fails, or not a page of it can be mapped:
 * every block is then an outside one (outside.h).
 */
bool crn_region_init(struct crn_region *region);

/*
 * Serves one mapping, zeroed: readable and writable if `is_committed`, otherwise with no access.
 * NULL when the region is full or the kernel refuses.
 */
void *crn_region_map(struct crn_region *region, size_t bytes, bool is_committed);

/* Takes a mapping (or part of one) back; its pages return to the kernel. */
void crn_region_unmap(struct crn_region *region, void *start, size_t bytes);

#endif
