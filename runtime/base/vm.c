/*
 * Coroner's own memory.  See vm.h.
 *
 * The list of own ranges is a fixed table whose rows are claimed and given back with one
 * compare-and-swap on `start`; a row is valid when both ends are set.  When it is full a range
 * is merely not listed: a check then reads it as a root and finds less.
 */
#include "base/vm.h"
#include "base/sys.h"

#include <sys/mman.h>
#include <sys/resource.h>

enum { OWN_RANGES_MAX = 2048 };
static struct {
    _Atomic uintptr_t start, end;
    _Atomic size_t used; /* bytes of it that are mapped or committed */
} own_ranges[OWN_RANGES_MAX];
static _Atomic unsigned own_ranges_used; /* no row at or above this one was ever claimed */

static _Atomic size_t used_bytes, peak_bytes;

enum { HUGE_FROM_BYTES = 2 << 20 };

static void used_add(_Atomic size_t *used, size_t bytes)
{
    atomic_fetch_add_explicit(used, bytes, memory_order_relaxed);
    size_t now = (atomic_fetch_add_explicit(&used_bytes, bytes, memory_order_relaxed) + bytes),
           seen = peak_bytes;
    while (seen < now && !atomic_compare_exchange_weak_explicit(
                             &peak_bytes, &seen, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

size_t crn_vm_used_bytes(void)
{
    return used_bytes;
}

size_t crn_vm_peak_bytes(void)
{
    return peak_bytes;
}

void crn_vm_peak_reset(void)
{
    peak_bytes = used_bytes;
}

static void own_range_add(uintptr_t start, uintptr_t end, size_t bytes)
{
    for (unsigned i = 0; i < OWN_RANGES_MAX; i++) {
        uintptr_t expected = 0;
        if (own_ranges[i].start == 0 &&
            atomic_compare_exchange_strong_explicit(&own_ranges[i].start, &expected, start,
                                                    memory_order_relaxed, memory_order_relaxed)) {
            unsigned used = own_ranges_used;
            while (used <= i && !atomic_compare_exchange_weak_explicit(&own_ranges_used, &used,
                                                                       i + 1, memory_order_relaxed,
                                                                       memory_order_relaxed))
                ;
            own_ranges[i].end = end;
            used_add(&own_ranges[i].used, bytes);
            return;
        }
    }
}

static void own_range_remove(uintptr_t start)
{
    for (unsigned i = 0, used = own_ranges_used; i < used; i++) {
        if (own_ranges[i].start == start) {
            atomic_fetch_sub_explicit(&used_bytes, own_ranges[i].used, memory_order_relaxed);
            own_ranges[i].used = 0;
            own_ranges[i].end = 0;
            own_ranges[i].start = 0;
            return;
        }
    }
}

/* A range that was reserved has come to be used by so much more. */
static void own_range_grow(uintptr_t start, size_t bytes)
{
    for (unsigned i = 0, count = own_ranges_used; i < count; i++) {
        if (own_ranges[i].start == start) {
            used_add(&own_ranges[i].used, bytes);
            return;
        }
    }
}

size_t crn_vm_own_ranges(struct crn_range *out, size_t room)
{
    size_t count = 0;
    for (unsigned i = 0, used = own_ranges_used; i < used && count < room; i++) {
        uintptr_t start = own_ranges[i].start, end = own_ranges[i].end;
        if (start != 0 && end > start)
            out[count++] = (struct crn_range){start, end};
    }
    return count;
}

static void *pages_map(size_t bytes, int protection)
{
    long result = crn_syscall6(SYS_mmap, 0, bytes, protection,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return crn_sys_failed(result) ? NULL : (void *)result;
}

void *crn_vm_map(size_t bytes)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    char *start = pages_map(bytes, PROT_READ | PROT_WRITE);
    if (start != NULL)
        own_range_add((uintptr_t)start, (uintptr_t)start + bytes, bytes);
    return start;
}

void crn_vm_unmap(void *start, size_t bytes)
{
    own_range_remove((uintptr_t)start);
    crn_syscall2(SYS_munmap, start, crn_align_up(bytes, CRN_PAGE_BYTES));
}

void *crn_vm_reserve(size_t bytes, size_t alignment)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    size_t slack = alignment > CRN_PAGE_BYTES ? alignment : 0;
    char *start = pages_map(bytes + slack, PROT_NONE);
    if (start == NULL)
        return NULL;
    char *aligned = (char *)crn_align_up((uintptr_t)start, alignment);
    if (aligned > start)
        crn_syscall2(SYS_munmap, start, aligned - start);
    if (aligned + bytes < start + bytes + slack)
        crn_syscall2(SYS_munmap, aligned + bytes, start + slack - aligned);
    own_range_add((uintptr_t)aligned, (uintptr_t)aligned + bytes, 0);
    return aligned;
}

size_t crn_vm_limit(void)
{
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    crn_syscall2(SYS_getrlimit, RLIMIT_AS, &limit);
    return limit.rlim_cur;
}

size_t crn_vm_modest(size_t bytes)
{
    enum { PARTS = 32 };
    size_t limit = crn_vm_limit();
    return limit != RLIM_INFINITY && bytes > limit / PARTS ? limit / PARTS : bytes;
}

bool crn_vm_commit(void *start, size_t bytes)
{
    return crn_syscall3(SYS_mprotect, start, bytes, PROT_READ | PROT_WRITE) == 0;
}

void crn_vm_wish_huge(void *start, size_t bytes)
{
    if (bytes >= HUGE_FROM_BYTES)
        crn_syscall3(SYS_madvise, start, bytes, MADV_HUGEPAGE);
}

bool crn_span_init(struct crn_span *span, size_t bytes)
{
    span->committed = 0;
    span->reserved = crn_align_up(bytes, CRN_PAGE_BYTES);
    span->base = crn_vm_reserve(bytes, CRN_PAGE_BYTES);
    return span->base != NULL;
}

bool crn_span_ensure_slow(struct crn_span *span, size_t bytes)
{
    /* Grow by an eighth, so that the number of calls stays logarithmic; at least 64 KiB. */
    size_t wanted = crn_align_up(bytes + bytes / 8, 64 * 1024);
    if (wanted > span->reserved)
        wanted = span->reserved;
    if (span->base == NULL || bytes > wanted)
        return false;
    /* Committing twice is harmless, so racing growers need no lock: the largest one wins. */
    if (!crn_vm_commit(span->base, wanted))
        return false;
    size_t seen = span->committed;
    while (seen < wanted &&
           !atomic_compare_exchange_strong_explicit(&span->committed, &seen, wanted,
                                                    memory_order_release, memory_order_relaxed))
        ;
    if (seen < wanted)
        own_range_grow((uintptr_t)span->base, wanted - seen);
    return true;
}

struct crn_arena_chunk {
    struct crn_arena_chunk *older;
    size_t bytes;
};

void *crn_arena_alloc(struct crn_arena *arena, size_t bytes)
{
    bytes = crn_align_up(bytes, 16);
    if (bytes > (size_t)(arena->end - arena->next)) {
        size_t wanted = bytes + sizeof(struct crn_arena_chunk) + 16;
        size_t chunk_bytes = crn_align_up(wanted, (size_t)256 * 1024);
        struct crn_arena_chunk *chunk = crn_vm_map(chunk_bytes);
        if (chunk == NULL) {
            arena->exhausted = true;
            return NULL;
        }
        crn_vm_wish_huge(chunk, chunk_bytes);
        chunk->older = arena->chunks;
        chunk->bytes = chunk_bytes;
        arena->chunks = chunk;
        arena->next = (char *)crn_align_up((uintptr_t)(chunk + 1), 16);
        arena->end = (char *)chunk + chunk_bytes;
    }
    void *result = arena->next;
    arena->next += bytes;
    return result;
}

void crn_arena_free_all(struct crn_arena *arena)
{
    while (arena->chunks != NULL) {
        struct crn_arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->older;
        crn_vm_unmap(chunk, chunk->bytes);
    }
    arena->next = arena->end = NULL;
}
