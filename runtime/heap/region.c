/*
 * Addresses for jemalloc.  See region.h.
 */
#include "heap/region.h"
#include "base/sys.h"

#include <stdatomic.h>
#include <sys/mman.h>

static const size_t HUGE_BYTES = (size_t)2 << 20;
static const size_t REGION_BYTES = (size_t)1 << 40;
static const uint64_t LOCK_LIMIT_NS = 100000000;

bool crn_region_init(struct crn_region *region)
{
    uintptr_t start = crn_vm_claim(REGION_BYTES);
    /* Programs that read just below their first block live on malloc; let them live here. */
    if (start == 0 ||
        crn_vm_map_at(start + HUGE_BYTES - CRN_PAGE_BYTES, CRN_PAGE_BYTES, true) != CRN_OK) {
        region->base = region->end = 0;
        region->next = 0;
        return false;
    }
    region->base = start;
    region->end = start + REGION_BYTES;
    region->next = start + HUGE_BYTES;
    return true;
}

/* Puts a range on the list, joined with the neighbours that touch it. */
static void gap_put_locked(struct crn_region *region, struct crn_region_gap gap)
{
    unsigned smallest = 0;
    for (unsigned i = 0; i < region->gap_count; i++) {
        struct crn_region_gap *other = &region->gaps[i];
        if (other->is_mapped == gap.is_mapped &&
            (other->end == gap.start || other->start == gap.end)) {
            gap.start = other->start < gap.start ? other->start : gap.start;
            gap.end = other->end > gap.end ? other->end : gap.end;
            *other = region->gaps[--region->gap_count];
            i = (unsigned)-1;
            smallest = 0;
        } else if (other->end - other->start <
                   region->gaps[smallest].end - region->gaps[smallest].start) {
            smallest = i;
        }
    }
    if (region->gap_count < CRN_COUNT_OF(region->gaps))
        region->gaps[region->gap_count++] = gap;
    else if (gap.end - gap.start > region->gaps[smallest].end - region->gaps[smallest].start)
        region->gaps[smallest] = gap; /* the addresses of the other are lost, its memory is not */
}

/* A signal handler on top of whoever holds the lock goes without. */
static bool gaps_lock(struct crn_region *region)
{
    return crn_lock_try(&region->lock) ||
           crn_lock_try_for(&region->lock, crn_sys_gettid(), LOCK_LIMIT_NS);
}

static void gap_put(struct crn_region *region, struct crn_region_gap gap)
{
    if (!gaps_lock(region))
        return; /* the addresses are lost */
    gap_put_locked(region, gap);
    crn_lock_release(&region->lock);
}

/* Takes the first `bytes` of the first gap that is large enough. */
static bool gap_take(struct crn_region *region, size_t bytes, struct crn_region_gap *taken)
{
    bool is_found = false;
    if (region->gap_count == 0 || !gaps_lock(region))
        return false;
    for (unsigned i = 0; i < region->gap_count && !is_found; i++) {
        struct crn_region_gap *gap = &region->gaps[i];
        if (gap->end - gap->start < bytes)
            continue;
        is_found = true;
        *taken = (struct crn_region_gap){gap->start, gap->start + bytes, gap->is_mapped};
        gap->start += bytes;
        if (gap->start == gap->end)
            *gap = region->gaps[--region->gap_count];
    }
    crn_lock_release(&region->lock);
    return is_found;
}

/* Maps over what the kernel would not unmap: it may be willing now. */
static enum crn_status mapped_replace(uintptr_t start, size_t bytes, bool is_committed)
{
    long result =
        crn_syscall6(SYS_mmap, start, bytes, is_committed ? PROT_READ | PROT_WRITE : PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    return crn_sys_failed(result) ? CRN_ERR_NO_MEMORY : CRN_OK;
}

static void *gap_map(struct crn_region *region, size_t bytes, bool is_committed)
{
    struct crn_region_gap gap;
    while (gap_take(region, bytes, &gap)) {
        enum crn_status status = gap.is_mapped ? mapped_replace(gap.start, bytes, is_committed)
                                               : crn_vm_map_at(gap.start, bytes, is_committed);
        if (status == CRN_OK)
            return (void *)gap.start;
        if (status == CRN_ERR_NO_MEMORY) {
            gap_put(region, gap);
            return NULL;
        }
        crn_vm_note_foreign(gap.start, bytes); /* the program has mapped something there */
    }
    return NULL;
}

static void *fresh_map(struct crn_region *region, size_t bytes, bool is_committed)
{
    size_t alignment = bytes >= HUGE_BYTES ? HUGE_BYTES : CRN_PAGE_BYTES;
    for (;;) {
        uintptr_t start, seen = region->next;
        do {
            start = crn_align_up(seen, alignment);
            if (start > region->end || region->end - start < bytes)
                return NULL;
        } while (!atomic_compare_exchange_weak_explicit(
            &region->next, &seen, start + bytes, memory_order_relaxed, memory_order_relaxed));
        enum crn_status status = crn_vm_map_at(start, bytes, is_committed);
        if (status == CRN_OK)
            return (void *)start;
        if (status == CRN_ERR_NO_MEMORY) {
            /* So that programs which try again and again do not use the addresses up. */
            uintptr_t end = start + bytes;
            if (!atomic_compare_exchange_strong(&region->next, &end, seen))
                gap_put(region, (struct crn_region_gap){start, start + bytes, false});
            return NULL;
        }
        crn_vm_note_foreign(start, bytes);
    }
}

void *crn_region_map(struct crn_region *region, size_t bytes, bool is_committed)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    void *start = gap_map(region, bytes, is_committed);
    return start != NULL ? start : fresh_map(region, bytes, is_committed);
}

void crn_region_unmap(struct crn_region *region, void *start, size_t bytes)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    bool is_mapped = crn_sys_failed(crn_syscall2(SYS_munmap, start, bytes));
    if (is_mapped) /* at the limit of mappings; take at least the pages, where they are not locked
                    */
        crn_syscall3(SYS_madvise, start, bytes, MADV_DONTNEED);
    gap_put(region, (struct crn_region_gap){(uintptr_t)start, (uintptr_t)start + bytes, is_mapped});
}
