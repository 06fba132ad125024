/*
 * Coroner's own memory.  See vm.h.
 *
 * No list of mappings is kept, so nothing here locks and no number of mappings is too large.  Each
 * area hands out addresses in ascending order; all but "kept" begin anew at their end.  By
 * then most of what lay at their start is gone, and what is still there says so: the kernel refuses
 * to map over it (MAP_FIXED_NOREPLACE), and a span that is in use stands in `passing_spans`.
 */
#include "base/vm.h"
#include "base/sys.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/random.h>

/*
 * What sizes below are multiples of.  Tests under ThreadSanitizer, which keeps memory of its own
 * nearly everywhere, have a small window where it lets programs map: from 64 to 512 GiB.
 */
#if defined(__SANITIZE_THREAD__)
#define HAS_THREAD_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define HAS_THREAD_SANITIZER 1
#endif
#endif
#ifdef HAS_THREAD_SANITIZER
#define TIB ((size_t)1 << 35)
#else
#define TIB ((size_t)1 << 40)
#endif

static const size_t HUGE_BYTES = (size_t)2 << 20;

/* What a span grows by at least: 64 KiB. */
static const size_t STEP_BYTES = (size_t)64 << 10;

/*
 * Where the window may begin.  The kernel puts programs just below 85 TiB and mappings below 128
 * TiB downwards, or from 43 TiB upwards (ulimit -s unlimited).  Runtimes that choose addresses
 * themselves begin at fixed ones below 17 TiB (Go, ZGC, mimalloc) or wish for random ones, which
 * they do not insist on (V8).
 *
 * Few words that are no pointers look like one to here: bits 40 to 47 are 0x11 to 0x1e, which in
 * text are control characters, and in the upper of two numbers 4,352 to 7,935.
 */
#if defined(HAS_THREAD_SANITIZER)
static const uintptr_t WINDOW_LOW = 2 * TIB, WINDOW_HIGH = 3 * TIB;
#elif defined(__x86_64__)
static const uintptr_t WINDOW_LOW = 17 * TIB, WINDOW_HIGH = 18 * TIB;
#else
#error "say where this architecture's programs leave 13 TiB of addresses alone"
#endif

enum area_kind { AREA_KEPT, AREA_PASSING, AREA_MAPPED, AREA_FAR, AREA_COUNT };
static const struct {
    size_t from, bytes; /* from the window's start */
} places[AREA_COUNT] = {
    [AREA_KEPT] = {0, 3 * TIB / 2},
    [AREA_PASSING] = {3 * TIB / 2, TIB},
    [AREA_MAPPED] = {5 * TIB / 2, TIB / 2},
    [AREA_FAR] = {3 * TIB, 10 * TIB},
};
#define WINDOW_BYTES (13 * TIB)

static _Atomic uintptr_t window; /* its start; 0: not chosen */
static struct {
    _Atomic size_t next; /* bytes from the area's start: what will be handed out */
    _Atomic size_t top;  /* nothing at or above it was ever handed out */
} areas[AREA_COUNT];

/* The passing spans there are.  A row is taken by whoever sets `start` from 0 to 1. */
enum { PASSING_MAX = 128 };
static struct {
    _Atomic uintptr_t start, end;
} passing_spans[PASSING_MAX];

/* What the program mapped in our window. */
static struct {
    _Atomic uintptr_t start, end;
} foreigners[CRN_VM_FOREIGN_MAX];

static _Atomic size_t used_bytes, peak_bytes;

static void size_raise(_Atomic size_t *size, size_t wanted)
{
    size_t seen = *size;
    while (seen < wanted && !atomic_compare_exchange_weak_explicit(
                                size, &seen, wanted, memory_order_release, memory_order_relaxed))
        ;
}

static void used_add(size_t bytes)
{
    size_raise(&peak_bytes,
               atomic_fetch_add_explicit(&used_bytes, bytes, memory_order_relaxed) + bytes);
}

static void used_remove(size_t bytes)
{
    atomic_fetch_sub_explicit(&used_bytes, bytes, memory_order_relaxed);
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

_Atomic uint32_t crn_vm_program_mappings;

enum { RESERVE_MAPPINGS = 64 };
static _Atomic uintptr_t reserve; /* as many pages, each a mapping of its own; 0: none */

static bool reserve_give_up(void)
{
    uintptr_t start = atomic_exchange(&reserve, 0);
    return start != 0 &&
           crn_syscall2(SYS_munmap, start, RESERVE_MAPPINGS * (size_t)CRN_PAGE_BYTES) == 0;
}

static long pages_try(uintptr_t start, size_t bytes, int protection)
{
    return crn_syscall6(SYS_mmap, start, bytes, protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
}

/* Maps at an address or nowhere; answers as the kernel does. */
static long pages_map(uintptr_t start, size_t bytes, int protection)
{
    long result = pages_try(start, bytes, protection);
    if (CRN_UNLIKELY(result == -ENOMEM) && reserve_give_up())
        result = pages_try(start, bytes, protection);
    if (crn_sys_failed(result) || (uintptr_t)result == start)
        return result;
    crn_syscall2(SYS_munmap, result, bytes); /* before Linux 4.17 the address was a wish */
    return -EEXIST;
}

/* A random one, unless the program was started without randomized addresses. */
static uintptr_t window_choose(void)
{
    uintptr_t places_count = (WINDOW_HIGH - WINDOW_LOW) / HUGE_BYTES, chosen = 0;
    if ((crn_syscall1(SYS_personality, 0xffffffff) & ADDR_NO_RANDOMIZE) == 0 &&
        crn_syscall3(SYS_getrandom, &chosen, sizeof chosen, GRND_NONBLOCK) != sizeof chosen)
        chosen = crn_hash64(crn_now_ns());
    return WINDOW_LOW + chosen % places_count * HUGE_BYTES;
}

static CRN_COLD uintptr_t window_find(void)
{
    enum { TRIES_MAX = 16 };
    uintptr_t start = 0, expected = 0;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        start = window_choose();
        long result = pages_map(start, WINDOW_BYTES, PROT_NONE);
        if (!crn_sys_failed(result))
            crn_syscall2(SYS_munmap, start, WINDOW_BYTES);
        if (result != -EEXIST)
            break; /* free, or under a limit, where it cannot be tried and still is, most likely */
    }
    return atomic_compare_exchange_strong(&window, &expected, start) ? start : expected;
}

static uintptr_t area_start(enum area_kind kind)
{
    uintptr_t start = window;
    return (CRN_LIKELY_TRUE(start != 0) ? start : window_find()) + places[kind].from;
}

/* The next addresses of an area, which may be in use where it has begun anew; 0: it is full. */
static uintptr_t addresses_take(enum area_kind kind, size_t bytes, size_t alignment)
{
    size_t from, seen = areas[kind].next;
    do {
        from = crn_align_up(seen, alignment);
        if (from > places[kind].bytes || bytes > places[kind].bytes - from) {
            if (kind == AREA_KEPT || bytes > places[kind].bytes)
                return 0;
            from = 0;
        }
    } while (!atomic_compare_exchange_weak_explicit(&areas[kind].next, &seen, from + bytes,
                                                    memory_order_relaxed, memory_order_relaxed));
    size_raise(&areas[kind].top, from + bytes);
    return area_start(kind) + from;
}

enum crn_status crn_vm_map_at(uintptr_t start, size_t bytes, bool is_usable)
{
    long result = pages_map(start, bytes, is_usable ? PROT_READ | PROT_WRITE : PROT_NONE);
    if (result == -EEXIST)
        return CRN_ERR_BUSY;
    return crn_sys_failed(result) ? CRN_ERR_NO_MEMORY : CRN_OK;
}

/* Maps memory in an area that begins anew; answers where, or 0. */
static uintptr_t area_map(enum area_kind kind, size_t bytes, bool is_usable)
{
    enum { TRIES_MAX = 64, SKIP_SHIFT_MAX = 20 };
    size_t alignment = bytes >= HUGE_BYTES ? HUGE_BYTES : CRN_PAGE_BYTES, skipped = bytes;
    for (unsigned i = 0; i < TRIES_MAX; i++) {
        uintptr_t start = addresses_take(kind, bytes, alignment);
        if (start == 0)
            return 0;
        enum crn_status status = crn_vm_map_at(start, bytes, is_usable);
        if (status == CRN_OK)
            return start;
        if (status != CRN_ERR_BUSY)
            return 0;
        /* Something lives here since the last time round; there may be much of it. */
        addresses_take(kind, skipped, CRN_PAGE_BYTES);
        skipped *= i < SKIP_SHIFT_MAX ? 2 : 1;
    }
    return 0;
}

/* One check's memory, handed out upwards, and all of it anew when everything has come back. */
static struct {
    _Atomic uintptr_t start; /* 0: there is none */
    size_t bytes;
    _Atomic size_t used;
    _Atomic uint32_t pieces; /* that have not come back */
} pool;

void crn_vm_pool_take(void)
{
    enum { BYTES_MOST = 32 << 20, BYTES_LEAST = 2 << 20 };
    static _Atomic bool is_taken;
    if (atomic_exchange(&is_taken, true))
        return;
    for (size_t bytes = BYTES_MOST; bytes >= BYTES_LEAST && pool.start == 0; bytes /= 2) {
        pool.bytes = bytes;
        pool.start = area_map(AREA_MAPPED, bytes, true);
    }
}

static uintptr_t pool_get(size_t bytes)
{
    size_t seen = pool.used;
    if (pool.start == 0)
        return 0;
    do {
        if (bytes > pool.bytes - seen)
            return 0;
    } while (!atomic_compare_exchange_weak(&pool.used, &seen, seen + bytes));
    pool.pieces++;
    return pool.start + seen;
}

/* Takes a piece back; false: it is none of the pool's. */
static bool pool_put(uintptr_t start, size_t bytes)
{
    if (pool.start == 0 || start < pool.start || start >= pool.start + pool.bytes)
        return false;
    if (crn_syscall3(SYS_madvise, start, bytes, MADV_DONTNEED) != 0)
        memset((void *)start, 0, bytes);
    if (--pool.pieces == 0)
        pool.used = 0;
    return true;
}

void *crn_vm_map(size_t bytes)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    uintptr_t start = area_map(AREA_MAPPED, bytes, true);
    if (start == 0)
        start = pool_get(bytes);
    if (start != 0)
        used_add(bytes);
    return (void *)start;
}

uintptr_t crn_vm_map_far(size_t bytes, bool is_usable)
{
    return area_map(AREA_FAR, crn_align_up(bytes, CRN_PAGE_BYTES), is_usable);
}

void crn_vm_unmap(void *start, size_t bytes)
{
    bytes = crn_align_up(bytes, CRN_PAGE_BYTES);
    used_remove(bytes);
    if (!pool_put((uintptr_t)start, bytes))
        crn_syscall2(SYS_munmap, start, bytes);
}

uintptr_t crn_vm_claim(size_t bytes)
{
    return addresses_take(AREA_KEPT, bytes, HUGE_BYTES);
}

/* Neighbours that differ in what they allow are not joined. */
void crn_vm_reserve_take(void)
{
    uintptr_t start = crn_vm_claim(RESERVE_MAPPINGS * (size_t)CRN_PAGE_BYTES), none = 0;
    if (start == 0 ||
        crn_vm_map_at(start, RESERVE_MAPPINGS * (size_t)CRN_PAGE_BYTES, false) != CRN_OK)
        return;
    for (unsigned i = 1; i < RESERVE_MAPPINGS; i += 2)
        crn_syscall3(SYS_mprotect, start + i * (size_t)CRN_PAGE_BYTES, CRN_PAGE_BYTES, PROT_READ);
    atomic_compare_exchange_strong(&reserve, &none, start);
}

void crn_vm_wish_huge(void *start, size_t bytes)
{
    if (bytes >= HUGE_BYTES)
        crn_syscall3(SYS_madvise, start, bytes, MADV_HUGEPAGE);
}

void crn_vm_wish_small(void *start, size_t bytes)
{
    crn_syscall3(SYS_madvise, start, bytes, MADV_NOHUGEPAGE);
}

bool crn_span_init(struct crn_span *span, size_t bytes)
{
    span->committed = 0;
    span->reserved = crn_align_up(bytes, STEP_BYTES);
    /* A page stays free behind it, so that the kernel does not join it with the next one. */
    span->base = (char *)addresses_take(AREA_KEPT, span->reserved + CRN_PAGE_BYTES, STEP_BYTES);
    return span->base != NULL;
}

static bool touches_passing_span(uintptr_t start, uintptr_t end)
{
    for (unsigned i = 0; i < PASSING_MAX; i++)
        if (passing_spans[i].start < end && passing_spans[i].end > start)
            return true;
    return false;
}

/* Where nothing can be mapped: a span of the pool's, all of it there from the start. */
static bool span_of_pool(struct crn_span *span, size_t bytes)
{
    const size_t most = (size_t)1 << 20;
    bytes = crn_align_up(bytes < most ? bytes : most, CRN_PAGE_BYTES);
    span->base = (char *)crn_vm_map(STEP_BYTES);
    if (span->base != NULL)
        crn_vm_unmap(span->base, STEP_BYTES);
    if (span->base != NULL && (uintptr_t)span->base - pool.start >= pool.bytes)
        return false; /* the kernel does map */
    span->base = (char *)crn_vm_map(bytes);
    span->reserved = span->base != NULL ? bytes : 0;
    span->committed = span->reserved;
    return span->base != NULL;
}

bool crn_span_init_passing(struct crn_span *span, size_t bytes)
{
    enum { TRIES_MAX = 4 * PASSING_MAX };
    unsigned row = 0;
    uintptr_t expected = 0;
    if (CRN_UNLIKELY(pool.start != 0) && span_of_pool(span, bytes))
        return true;
    span->committed = 0;
    span->reserved = crn_align_up(bytes, STEP_BYTES);
    span->base = NULL;
    while (row < PASSING_MAX &&
           !atomic_compare_exchange_strong(&passing_spans[row].start, &expected, 1)) {
        expected = 0;
        row++;
    }
    if (row == PASSING_MAX)
        return false;
    for (unsigned i = 0; i < TRIES_MAX && span->base == NULL; i++) {
        uintptr_t start = addresses_take(AREA_PASSING, span->reserved + CRN_PAGE_BYTES,
                                         span->reserved >= HUGE_BYTES ? HUGE_BYTES : STEP_BYTES);
        if (start == 0)
            break;
        if (!touches_passing_span(start, start + span->reserved))
            span->base = (char *)start;
    }
    if (span->base == NULL) {
        passing_spans[row].start = 0;
        return false;
    }
    passing_spans[row].end = (uintptr_t)span->base + span->reserved;
    passing_spans[row].start = (uintptr_t)span->base;
    return true;
}

void crn_span_fini(struct crn_span *span)
{
    if (span->base == NULL)
        return;
    if (span->committed > 0)
        crn_vm_unmap(span->base, span->committed);
    for (unsigned i = 0; i < PASSING_MAX; i++) {
        if (passing_spans[i].start == (uintptr_t)span->base) {
            passing_spans[i].end = 0;
            passing_spans[i].start = 0;
            break;
        }
    }
    span->base = NULL;
    span->committed = 0;
}

/* Maps [from, to) of a span.  Part of it may be there: another thread is growing it, too. */
static bool span_map(const struct crn_span *span, size_t from, size_t to)
{
    uintptr_t base = (uintptr_t)span->base;
    enum crn_status status = crn_vm_map_at(base + from, to - from, true);
    for (; status == CRN_ERR_BUSY && from < to; from += STEP_BYTES)
        if (crn_vm_map_at(base + from, STEP_BYTES, true) == CRN_ERR_NO_MEMORY)
            return false;
    return status != CRN_ERR_NO_MEMORY;
}

bool crn_span_ensure_slow(struct crn_span *span, size_t bytes)
{
    size_t seen = span->committed;
    if (span->base == NULL || bytes > span->reserved)
        return false;
    /*
     * Grow by an eighth, so that the number of calls stays logarithmic; with less where it fails. A
     * large one ends where a huge page does: one that is mapped in two pieces can be none.
     */
    uintptr_t base = (uintptr_t)span->base;
    size_t step = bytes >= 4 * HUGE_BYTES ? HUGE_BYTES : STEP_BYTES;
    size_t least = crn_align_up(bytes, STEP_BYTES);
    size_t wanted = crn_align_up(base + bytes + bytes / 8, step) - base;
    if (wanted > span->reserved)
        wanted = span->reserved;
    if (seen < wanted && !span_map(span, seen, wanted)) {
        wanted = least;
        if (seen < wanted && !span_map(span, seen, wanted))
            return false;
    }
    while (seen < wanted &&
           !atomic_compare_exchange_strong_explicit(&span->committed, &seen, wanted,
                                                    memory_order_release, memory_order_relaxed))
        ;
    if (seen < wanted)
        used_add(wanted - seen);
    return true;
}

bool crn_vm_touches_window(uintptr_t start, size_t bytes)
{
    uintptr_t from = window;
    return from != 0 && start < from + WINDOW_BYTES && start + bytes > from;
}

void crn_vm_note_foreign(uintptr_t start, size_t bytes)
{
    for (unsigned i = 0; i < CRN_VM_FOREIGN_MAX; i++) {
        uintptr_t expected = 0;
        if (atomic_compare_exchange_strong(&foreigners[i].start, &expected, start)) {
            foreigners[i].end = crn_align_up(start + bytes, CRN_PAGE_BYTES);
            return;
        }
    }
}

void crn_vm_note_foreign_gone(uintptr_t start, size_t bytes)
{
    for (unsigned i = 0; i < CRN_VM_FOREIGN_MAX; i++) {
        if (foreigners[i].start >= start && foreigners[i].end <= start + bytes) {
            foreigners[i].end = 0;
            foreigners[i].start = 0;
        }
    }
}

/* The first range of the program's that ends above `address`, in our window; `end`: there is none.
 */
static struct crn_range foreigner_above(uintptr_t address, uintptr_t end)
{
    struct crn_range first = {end, end};
    for (unsigned i = 0; i < CRN_VM_FOREIGN_MAX; i++)
        if (foreigners[i].end > address && foreigners[i].start < first.start)
            first = (struct crn_range){foreigners[i].start, foreigners[i].end};
    return first;
}

size_t crn_vm_own_ranges(struct crn_range out[CRN_VM_OWN_MAX])
{
    size_t count = 0;
    for (unsigned kind = 0; kind < AREA_COUNT && window != 0; kind++) {
        uintptr_t at = area_start(kind), end = at + areas[kind].top;
        while (at < end && count < CRN_VM_OWN_MAX) {
            struct crn_range foreign = foreigner_above(at, end);
            if (foreign.start > at)
                out[count++] = (struct crn_range){at, foreign.start};
            at = foreign.end;
        }
    }
    return count;
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

void crn_arena_forget(void *start, size_t bytes)
{
    uintptr_t from = crn_align_up((uintptr_t)start, CRN_PAGE_BYTES);
    uintptr_t to = crn_align_down((uintptr_t)start + bytes, CRN_PAGE_BYTES);
    if (from < to)
        crn_syscall3(SYS_madvise, from, to - from, MADV_DONTNEED);
}
