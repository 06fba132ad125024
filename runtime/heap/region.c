/*
 * Address space for jemalloc.  See region.h.
 */
#include "heap/region.h"
#include "base/sys.h"

#include <string.h>
#include <sys/mman.h>

static const size_t HUGE_BYTES = (size_t)2 << 20;

/*
 * What lies above this much of heap gets huge pages, where the machine lets programs ask: page
 * faults and misses of the TLB are then a large part of what memory costs the program, and of a
 * check, and the page that is never filled is small beside it.  Each arena begins in a place of its
 * own, so a lower bound strikes programs that have many and use little: from 16 MiB on, four threads
 * with 10 MB took 28.
 */
static const size_t HUGE_FROM_BYTES = (size_t)64 << 20;

bool crn_region_init(struct crn_region *region)
{
    size_t limit = crn_vm_limit();
    size_t bytes = (size_t)1 << 40;
    while (bytes > limit / 2)
        bytes /= 2;
    for (; bytes >= 16 * HUGE_BYTES; bytes /= 2) {
        char *start = crn_vm_reserve(bytes, HUGE_BYTES);
        if (start == NULL)
            continue;
        region->base = (uintptr_t)start;
        region->end = region->base + bytes;
        region->next = region->base + HUGE_BYTES;
        /* Programs that read just below their first block live on malloc; let them live here. */
        return crn_vm_commit(start + HUGE_BYTES - CRN_PAGE_BYTES, CRN_PAGE_BYTES);
    }
    region->base = region->end = 0;
    region->next = 0;
    return false;
}

static uintptr_t free_take(struct crn_region *region, size_t bytes)
{
    uintptr_t found = 0;
    if (region->free_count == 0 || !crn_lock_try(&region->lock))
        return 0;
    for (unsigned i = 0; i < region->free_count && found == 0; i++) {
        struct crn_range *range = &region->free[i];
        if (range->end - range->start < bytes)
            continue;
        found = range->start;
        range->start += bytes;
        if (range->start == range->end)
            *range = region->free[--region->free_count];
    }
    crn_lock_release(&region->lock);
    return found;
}

void *crn_region_map(struct crn_region *region, size_t bytes, bool is_committed)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    uintptr_t start = free_take(region, bytes);
    if (start == 0) {
        size_t alignment = bytes >= HUGE_BYTES ? HUGE_BYTES : CRN_PAGE_BYTES;
        uintptr_t seen = region->next;
        do {
            start = crn_align_up(seen, alignment);
            if (start > region->end || region->end - start < bytes)
                return NULL;
        } while (!atomic_compare_exchange_weak_explicit(
            &region->next, &seen, start + bytes, memory_order_relaxed, memory_order_relaxed));
    }
    if (is_committed && !crn_vm_commit((void *)start, bytes))
        return NULL;
    if (start - region->base >= HUGE_FROM_BYTES)
        crn_vm_wish_huge((void *)start, bytes);
    return (void *)start;
}

/* Puts a range on the list, joined with a neighbour if one touches it. */
static void free_put(struct crn_region *region, uintptr_t start, uintptr_t end)
{
    if (!crn_lock_try(&region->lock))
        return; /* the addresses are lost, the memory is not */
    for (unsigned i = 0; i < region->free_count; i++) {
        struct crn_range *range = &region->free[i];
        if (range->end == start || range->start == end) {
            start = range->start < start ? range->start : start;
            end = range->end > end ? range->end : end;
            *range = region->free[--region->free_count];
            i = (unsigned)-1;
        }
    }
    if (region->free_count < CRN_COUNT_OF(region->free))
        region->free[region->free_count++] = (struct crn_range){start, end};
    crn_lock_release(&region->lock);
}

void crn_region_unmap(struct crn_region *region, void *start, size_t bytes)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    /* A fresh PROT_NONE mapping drops the pages and the commit charge in one call. */
    crn_syscall6(SYS_mmap, start, bytes, PROT_NONE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    free_put(region, (uintptr_t)start, (uintptr_t)start + bytes);
}
