#ifndef CRN_VM_H
#define CRN_VM_H
/*
 * Memory of Coroner's own, straight from the kernel, and the list of where it is: a check must
 * not read its own tables as if the program had written them.
 *
 * Tables that grow are spans: a range reserved once (PROT_NONE, so that it costs nothing and
 * passes overcommit_memory=2) and made readable from its start as far as it is used.
 */
#include "base/base.h"

struct crn_range {
    uintptr_t start, end; /* [start, end) */
};

struct crn_span {
    char *base;
    size_t reserved;           /* bytes */
    _Atomic size_t committed;  /* bytes from base that can be read and written */
};

/* Maps zeroed memory, noted as ours.  NULL when the kernel refuses. */
void *crn_vm_map(size_t bytes);
void crn_vm_unmap(void *start, size_t bytes);

/* Reserves address space, noted as ours, aligned to `alignment` (a power of two).  May be NULL. */
void *crn_vm_reserve(size_t bytes, size_t alignment);

/* RLIMIT_AS in bytes; SIZE_MAX when there is none. */
size_t crn_vm_limit(void);

/* `bytes`, or a small part of RLIMIT_AS where that is less: tables must not starve the program. */
size_t crn_vm_modest(size_t bytes);

/* Makes part of a reservation readable and writable. */
bool crn_vm_commit(void *start, size_t bytes);

/*
 * Asks for huge pages, where the machine lets programs ask: what is read at random gets up to twice
 * as fast.  For memory that will be filled from end to end, since 2 MiB become resident at once.
 */
void crn_vm_wish_huge(void *start, size_t bytes);

/* What is mapped and committed of Coroner's own, and the most that was since the last reset. */
size_t crn_vm_used_bytes(void);
size_t crn_vm_peak_bytes(void);
void crn_vm_peak_reset(void);

/* Reserves a span of up to `bytes`.  Answers false when there is no address space. */
bool crn_span_init(struct crn_span *span, size_t bytes);

/* Sees to it that the first `bytes` can be used; thread safe.  False: no memory, or too small. */
bool crn_span_ensure_slow(struct crn_span *span, size_t bytes);
CRN_INLINE bool crn_span_ensure(struct crn_span *span, size_t bytes)
{
    return CRN_LIKELY_TRUE(bytes <= atomic_load_explicit(&span->committed, memory_order_acquire)) ||
           crn_span_ensure_slow(span, bytes);
}

/* Copies our ranges to `out`, unordered; answers how many there are, at most `room`. */
size_t crn_vm_own_ranges(struct crn_range *out, size_t room);

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

#endif
