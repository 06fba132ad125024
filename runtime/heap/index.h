#ifndef CRN_INDEX_H
#define CRN_INDEX_H
/*
 * Which blocks exist: a page map over dense records.
 *
 *     address --> pages[(address - base) / 4096] = first record | class | phase
 *                      |
 *                      `--> records[first + (offset in page - phase) / class bytes]
 *
 * A page of small blocks of one class has one record for each block that *starts* in it; `phase`
 * is where the first of them starts.  A large block has one record, in the page it starts in.
 * A page learns its class when the first block in it is recorded, and keeps it until a block of
 * another class is (jemalloc has then freed every old one).
 *
 * Why it is safe without a lock: a record is written only by whoever owns the block, that is,
 * between jemalloc's malloc and free of it; others only set its flag, by compare-and-swap.  Records
 * are cleared *before* jemalloc may hand the address to another thread.  Only the change of a
 * page's class takes the lock.
 *
 * Invariants (see crn_index_is_valid):
 *   I1  a live record's block lies inside its page's class geometry and inside [base, next).
 *   I2  the records of two pages never overlap, nor do those on a free list.
 *   I3  exact size <= class bytes.
 */
#include "base/lock.h"
#include "base/vm.h"
#include "heap/births.h"
#include "heap/huge.h"
#include "heap/sizeclass.h"

/*
 * 16 bytes a block.  `meta` alone says whether there is a block: it is written last, and cleared
 * first.  While there is one it changes by single stores only, so whoever reads it at any moment
 * sees the block.  Of a freed block everything stays but the flags: a second free can say which
 * block it was.
 */
struct crn_record {
    uint32_t stack; /* node of its allocation stack; 0: unknown */
    uint32_t coro;  /* id of the coroutine it was allocated in; 0: a thread's own stack */
    uint64_t meta;  /* exact size | stamp << 40 | flags << 62; 0: there never was a block */
};

enum { CRN_META_BIRTH_SHIFT = 40, CRN_META_FLAGS_SHIFT = 62 };
#define CRN_META_SIZE_MASK (((uint64_t)1 << CRN_META_BIRTH_SHIFT) - 1)
#define CRN_META_STAMP_MASK (((uint32_t)1 << CRN_BIRTH_STAMP_BITS) - 1)
#define CRN_META_LIVE ((uint64_t)CRN_RECORD_LIVE << CRN_META_FLAGS_SHIFT)
#define CRN_META_SPECIAL ((uint64_t)CRN_RECORD_SPECIAL << CRN_META_FLAGS_SHIFT)
enum crn_record_flags {
    CRN_RECORD_LIVE = 1,
    CRN_RECORD_SPECIAL = 2, /* with LIVE: a coroutine's stack lies in it; tell when it is freed */
};

struct crn_index {
    uintptr_t base;          /* of the region */
    uintptr_t span;          /* its bytes; 0: no region */
    _Atomic uint64_t *pages; /* one word a page of the region */
    struct crn_record *records;
    /* Cold from here. */
    struct crn_span pages_span, records_span;
    struct crn_huge huge;
    struct crn_lock lock;      /* guards what follows, and changes of a page's class */
    uint32_t records_made;     /* record 0 is never used */
    uint32_t free_chunks[257]; /* by count of records: first free chunk, linked through `stack` */
    bool full;                 /* a page could not get records: some blocks are not known */
};

/* first << 32 | phase / 16 << 8 | class + 1: what a look-up needs first lies where it is cheap. */
CRN_INLINE uint64_t crn_page_word(uint32_t first, unsigned class_index, unsigned phase)
{
    return (uint64_t)first << 32 | (phase / 16) << 8 | (class_index + 1);
}
CRN_INLINE uint32_t crn_page_first(uint64_t word)
{
    return (uint32_t)(word >> 32);
}
CRN_INLINE unsigned crn_page_class(uint64_t word)
{
    return (word & 0xff) - 1; /* of a word that is not 0 */
}
CRN_INLINE unsigned crn_page_phase(uint64_t word)
{
    return ((word >> 8) & 0xff) * 16;
}
/* How many blocks of the page's class start in it. */
CRN_INLINE unsigned crn_page_slots(uint64_t word)
{
    const struct crn_class *class = &crn_classes[crn_page_class(word)];
    return class->bytes >= CRN_PAGE_BYTES
               ? 1
               : (unsigned)((CRN_PAGE_BYTES - crn_page_phase(word) + class->bytes - 1) /
                            class->bytes);
}

CRN_INLINE bool crn_record_is_live(const struct crn_record *record)
{
    return (record->meta & CRN_META_LIVE) != 0;
}
CRN_INLINE size_t crn_record_size(const struct crn_record *record)
{
    return record->meta & CRN_META_SIZE_MASK;
}
/* The stamp of its birth; crn_birth_of (heap.h) says which that is. */
CRN_INLINE uint32_t crn_meta_stamp(uint64_t meta)
{
    return (meta >> CRN_META_BIRTH_SHIFT) & CRN_META_STAMP_MASK;
}
CRN_INLINE uint64_t crn_meta_restamp(uint64_t meta, uint32_t stamp)
{
    return (meta & ~((uint64_t)CRN_META_STAMP_MASK << CRN_META_BIRTH_SHIFT)) |
           (uint64_t)stamp << CRN_META_BIRTH_SHIFT;
}
CRN_INLINE uint64_t crn_meta(size_t size, uint64_t birth, unsigned flags)
{
    return (uint64_t)size | (birth & CRN_META_STAMP_MASK) << CRN_META_BIRTH_SHIFT |
           (uint64_t)flags << CRN_META_FLAGS_SHIFT;
}

/* Prepares an index for the region [base, base + span).  Both may be 0: nothing is then inside. */
enum crn_status crn_index_init(struct crn_index *index, uintptr_t base, size_t span);

/* Makes the page map usable up to `end`, an address in the region.  False: no memory. */
bool crn_index_cover(struct crn_index *index, uintptr_t end);

CRN_INLINE bool crn_index_is_inside(const struct crn_index *index, uintptr_t address)
{
    return address - index->base < index->span;
}

/*
 * The record of the block that starts exactly at `address` (inside the region), or NULL.
 *
 * Divides by multiplying with r = ceil(2^32 / bytes).  An offset of k blocks gives k 2^32 + k (r
 * bytes - 2^32), whose low half is below 2^14; one byte more gives r more, and r is at least 2^18
 * where an offset can be other than 0.  So the low half tells whether the division was even.  A
 * negative offset, below the phase, is never even by this: a class with a phase is no power of two.
 * A page without blocks has class 0, whose r is 0.
 */
CRN_INLINE struct crn_record *crn_index_slot(const struct crn_index *index, uintptr_t address,
                                             unsigned *class_index)
{
    uint64_t word = atomic_load_explicit(&index->pages[(address - index->base) >> CRN_PAGE_SHIFT],
                                         memory_order_acquire);
    int64_t offset = (int64_t)(address & (CRN_PAGE_BYTES - 1)) - crn_page_phase(word);
    uint32_t reciprocal = crn_class_reciprocals[word & 0xff];
    int64_t product = offset * reciprocal;
    *class_index = crn_page_class(word);
    if (CRN_UNLIKELY((uint32_t)product >= reciprocal))
        return NULL;
    return &index->records[crn_page_first(word) + (uint32_t)((uint64_t)product >> 32)];
}

/*
 * Gives the page of `address` the class and geometry of this block; NULL: no memory.  A large block
 * that changes its size where it is keeps its record, and stays on it.
 */
struct crn_record *crn_index_slot_make(struct crn_index *index, uintptr_t address,
                                       unsigned class_index, int tid);

/* The record for a block that jemalloc has just handed out; NULL: no memory for records. */
CRN_INLINE struct crn_record *crn_index_slot_for(struct crn_index *index, uintptr_t address,
                                                 unsigned class_index, int tid)
{
    unsigned seen = 0;
    struct crn_record *record = crn_index_slot(index, address, &seen);
    if (CRN_LIKELY_TRUE(record != NULL && seen == class_index))
        return record;
    return crn_index_slot_make(index, address, class_index, tid);
}

CRN_INLINE void crn_record_write(struct crn_record *record, size_t size, uint32_t stack,
                                 uint32_t coro, uint64_t birth)
{
    record->stack = stack;
    record->coro = coro;
    __atomic_store_n(&record->meta, crn_meta(size, birth, CRN_RECORD_LIVE), __ATOMIC_RELEASE);
}

/* The block is gone: `meta` is what its record says of it. */
CRN_INLINE void crn_record_close(struct crn_record *record, uint64_t meta)
{
    __atomic_store_n(&record->meta, meta & ~(CRN_META_LIVE | CRN_META_SPECIAL), __ATOMIC_RELAXED);
}

CRN_INLINE void crn_record_clear(struct crn_record *record)
{
    crn_record_close(record, record->meta);
}

/*
 * Marks a live block as special.  Any thread may; the owner may be freeing it meanwhile, and then
 * it stays freed.  Answers the meta that it has now; 0: it is gone.
 */
CRN_INLINE uint64_t crn_record_make_special(struct crn_record *record)
{
    uint64_t seen = __atomic_load_n(&record->meta, __ATOMIC_RELAXED);
    do {
        if ((seen & CRN_META_LIVE) == 0)
            return 0;
    } while (!__atomic_compare_exchange_n(&record->meta, &seen, seen | CRN_META_SPECIAL, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return seen | CRN_META_SPECIAL;
}

/*
 * Describes a block anew that stays where it is (realloc); special stays special.  Its owner alone
 * calls this.  A check that reads the record in between sees the block, with some fields old and
 * some new: whoever resizes a block holds it, so it is live by any of them.  Answers who owned it.
 */
CRN_INLINE uint32_t crn_record_replace(struct crn_record *record, size_t size, uint32_t stack,
                                       uint32_t coro, uint64_t birth)
{
    uint64_t seen = __atomic_load_n(&record->meta, __ATOMIC_RELAXED);
    uint64_t wanted = crn_meta(size, birth, CRN_RECORD_LIVE);
    __atomic_store_n(&record->stack, stack, __ATOMIC_RELAXED);
    /* Others may change it, too (coroner_ignore); where it stays, nothing is written. */
    uint32_t before = __atomic_load_n(&record->coro, __ATOMIC_RELAXED);
    if (CRN_UNLIKELY(before != coro))
        before = __atomic_exchange_n(&record->coro, coro, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&record->meta, &seen, wanted | (seen & CRN_META_SPECIAL),
                                        true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
    return before;
}

/* A block as the index knows it. */
struct crn_block {
    uintptr_t start;
    size_t size;   /* exact */
    size_t usable; /* class bytes */
    struct crn_record *record;
};

/*
 * The live block that `address` points into, at its start or inside; false when there is none.
 * Costs up to a walk back over the pages of a large block: for cold paths.
 */
bool crn_index_find(const struct crn_index *index, uintptr_t address, struct crn_block *block);

/*
 * Calls `visit` for every live block, in ascending order, until it answers false.  Consistent
 * when no other thread allocates; otherwise each block is seen at most once.
 */
void crn_index_for_each(const struct crn_index *index, uintptr_t end,
                        bool (*visit)(const struct crn_block *block, void *user), void *user);

/* Checks I1..I3 for everything below `end`; for tests. */
bool crn_index_is_valid(const struct crn_index *index, uintptr_t end);

/* Makes the index usable in a forked child, where the lock may belong to a thread left behind. */
void crn_index_after_fork(struct crn_index *index);

#endif
