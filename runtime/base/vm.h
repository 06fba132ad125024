#ifndef CRN_VM_H
#define CRN_VM_H
/*
 * Memory of Coroner's own, straight from the kernel, and where it is: a check must not read its own
 * tables as if the program had written them.
 *
 * All of it lies in one window of addresses, far from where the kernel puts the program's mappings,
 * in four areas.  Nothing of an area is mapped before it is used: addresses are only claimed,
 * which the kernel does not know of.  So the program's address space looks as large as without us,
 * and RLIMIT_AS, whoever sets it and when, counts what we use and no more.
 *
 *     window --> | kept                     | passing           | mapped     | far            |
 *                | the heap, tables (spans) | tables of a check | crn_vm_map | crn_vm_map_far |
 *
 * Whatever lies in an area below its top is ours, however many mappings it has; but for what the
 * program puts there itself, at an address of its choice.
 */
#include "base/base.h"

struct crn_range {
    uintptr_t start, end; /* [start, end) */
};

/* A table that grows: addresses claimed once, and memory mapped from their start as it is used. */
struct crn_span {
    char *base;
    size_t reserved;          /* bytes claimed */
    _Atomic size_t committed; /* bytes from base that can be read and written */
};

/* Maps zeroed memory.  NULL when the kernel refuses. */
void *crn_vm_map(size_t bytes);
void crn_vm_unmap(void *start, size_t bytes);

/*
 * The kernel bounds how many mappings a process has (vm.max_map_count), and the program may use
 * them up.  The shim counts those that the program makes; once they are many, some are kept in
 * reserve, and given up when we need one and there is none.
 */
void crn_vm_reserve_take(void);
extern _Atomic uint32_t crn_vm_program_mappings;
CRN_INLINE void crn_vm_note_mapping(void)
{
    enum { MANY = 1 << 14 };
    if (CRN_UNLIKELY(atomic_fetch_add_explicit(&crn_vm_program_mappings, 1, memory_order_relaxed) ==
                     MANY))
        crn_vm_reserve_take();
}

/*
 * Takes a pool of some megabytes, for a process that may not map any more: what cannot be mapped
 * comes from there, as long as it lasts.  Untouched it takes addresses only.
 */
void crn_vm_pool_take(void);

/* Claims addresses for ever, a multiple of 2 MiB apart from each other's start.  May be 0. */
uintptr_t crn_vm_claim(size_t bytes);

/*
 * Maps fresh, zeroed memory at claimed addresses; with no access when `is_usable` is false.
 * CRN_ERR_BUSY: something is mapped there.  CRN_ERR_NO_MEMORY: the kernel refuses.
 */
enum crn_status crn_vm_map_at(uintptr_t start, size_t bytes, bool is_usable);

/*
 * Maps zeroed memory that is the heap's and not in its region, of any size up to 10 TiB; answers
 * where, or 0.  (A block of a terabyte below the program's libraries would be held by many a word
 * that only looks like an address there.)  It is not counted as used by us.
 */
uintptr_t crn_vm_map_far(size_t bytes, bool is_usable);

/*
 * Asks for huge pages, where the machine lets programs ask: what is read at random gets up to twice
 * as fast.  For memory that will be filled from end to end, since 2 MiB become resident at once.
 */
void crn_vm_wish_huge(void *start, size_t bytes);

/* Takes that back. */
void crn_vm_wish_small(void *start, size_t bytes);

/* What is mapped of Coroner's own, and the most that was since the last reset. */
size_t crn_vm_used_bytes(void);
size_t crn_vm_peak_bytes(void);
void crn_vm_peak_reset(void);

/* Prepares a span of up to `bytes`, for ever or until crn_span_fini.  False: no addresses left. */
bool crn_span_init(struct crn_span *span, size_t bytes);
bool crn_span_init_passing(struct crn_span *span, size_t bytes);

/* Gives its memory back, and a passing one's addresses.  Harmless on one that is not prepared. */
void crn_span_fini(struct crn_span *span);

/* Sees to it that the first `bytes` can be used; thread safe.  False: no memory, or too small. */
bool crn_span_ensure_slow(struct crn_span *span, size_t bytes);
CRN_INLINE bool crn_span_ensure(struct crn_span *span, size_t bytes)
{
    return CRN_LIKELY_TRUE(bytes <= atomic_load_explicit(&span->committed, memory_order_acquire)) ||
           crn_span_ensure_slow(span, bytes);
}

/* Whether any of [start, start + bytes) lies in our window. */
bool crn_vm_touches_window(uintptr_t start, size_t bytes);

/* The program has mapped, or unmapped, something in our window: that is not ours. */
void crn_vm_note_foreign(uintptr_t start, size_t bytes);
void crn_vm_note_foreign_gone(uintptr_t start, size_t bytes);

/* Where our memory lies, the heap's region included: writes ranges to `out`, answers how many. */
enum { CRN_VM_FOREIGN_MAX = 64, CRN_VM_OWN_MAX = 4 + CRN_VM_FOREIGN_MAX };
size_t crn_vm_own_ranges(struct crn_range out[CRN_VM_OWN_MAX]);

/*
 * Memory for one check: grows by mapping, freed as a whole.  Not thread safe.  NULL when the
 * kernel refuses; `exhausted` then stays set.
 */
struct crn_arena {
    struct crn_arena_chunk *chunks; /* newest first */
    char *next, *end;
    bool exhausted;
};
void *crn_arena_alloc(struct crn_arena *arena, size_t bytes);
void crn_arena_free_all(struct crn_arena *arena);

/* Gives the pages that lie wholly in a part of an arena back: what was in it is not read again. */
void crn_arena_forget(void *start, size_t bytes);

#endif
