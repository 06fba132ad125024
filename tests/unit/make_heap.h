#ifndef TESTS_MAKE_HEAP_H
#define TESTS_MAKE_HEAP_H
/*
 * A heap for tests: an index over ordinary memory, and blocks laid out as jemalloc would.
 *
 * Small classes come in slabs (the fewest whole pages that the class divides evenly), large ones
 * have pages of their own and start at an odd multiple of 64 bytes in the first of them.
 *
 *     struct maker_heap maker;
 *     maker_heap_init(&maker, 256);
 *     char *block = maker_block(&maker, 100);
 *     maker_heap_fini(&maker);
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "heap/heap.h"

struct maker_heap {
    struct crn_heap heap;
    char *memory;
    size_t bytes;
    uintptr_t next; /* the first page not used yet */
    uintptr_t slab_next[CRN_CLASS_COUNT], slab_end[CRN_CLASS_COUNT];
    unsigned large_count;
};

static inline void maker_heap_init(struct maker_heap *maker, size_t pages)
{
    memset(maker, 0, sizeof *maker);
    maker->bytes = pages * CRN_PAGE_BYTES;
    maker->memory = mmap(NULL, maker->bytes, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    cr_assert(maker->memory != MAP_FAILED);
    maker->next = (uintptr_t)maker->memory;
    crn_births_init(&maker->heap);
    cr_assert(crn_index_init(&maker->heap.index, maker->next, maker->bytes) == CRN_OK);
    cr_assert(crn_index_cover(&maker->heap.index, maker->next + maker->bytes));
}

static inline void maker_heap_fini(struct maker_heap *maker)
{
    struct crn_index *index = &maker->heap.index;
    crn_span_fini(&index->pages_span);
    crn_span_fini(&index->records_span);
    crn_span_fini(&maker->heap.births.times);
    crn_span_fini(&maker->heap.births.levels);
    munmap(maker->memory, maker->bytes);
}

/* One past the last address of the maker's range. */
static inline uintptr_t maker_end(const struct maker_heap *maker)
{
    return (uintptr_t)maker->memory + maker->bytes;
}

static inline uintptr_t maker_pages(struct maker_heap *maker, size_t pages)
{
    uintptr_t start = maker->next;
    maker->next += pages * CRN_PAGE_BYTES;
    cr_assert(maker->next <= maker_end(maker), "the maker's heap is too small for this test");
    return start;
}

/* Where jemalloc would put a block of `bytes`; nothing is recorded yet. */
static inline uintptr_t maker_place(struct maker_heap *maker, size_t bytes)
{
    unsigned class_index = crn_class_of(bytes);
    const struct crn_class *class = &crn_classes[class_index];
    if (class->is_large) {
        uintptr_t start = maker_pages(maker, (class->bytes + 4095) / CRN_PAGE_BYTES + 1);
        return start + (maker->large_count++ * 13 % 64) * 64;
    }
    if (maker->slab_next[class_index] == maker->slab_end[class_index]) {
        size_t pages = 1;
        while (pages * CRN_PAGE_BYTES % class->bytes != 0)
            pages++;
        maker->slab_next[class_index] = maker_pages(maker, pages);
        maker->slab_end[class_index] = maker->slab_next[class_index] + pages * CRN_PAGE_BYTES;
    }
    uintptr_t start = maker->slab_next[class_index];
    maker->slab_next[class_index] += class->bytes;
    return start;
}

/* Records the block of `bytes` at `start`, born now. */
static inline struct crn_record *maker_record(struct maker_heap *maker, uintptr_t start,
                                              size_t bytes, uint32_t stack)
{
    struct crn_record *record =
        crn_index_slot_for(&maker->heap.index, start, crn_class_of(bytes == 0 ? 1 : bytes), 1);
    cr_assert_not_null(record);
    crn_record_write(record, bytes, stack, 0, maker->heap.birth_now);
    return record;
}

/* A block of `bytes`, zeroed. */
static inline void *maker_block(struct maker_heap *maker, size_t bytes)
{
    uintptr_t start = maker_place(maker, bytes == 0 ? 1 : bytes);
    maker_record(maker, start, bytes, 0);
    return (void *)start;
}

/* Numbers that are the same in every run (Marsaglia's xorshift64). */
struct maker_random {
    uint64_t state;
};
static inline uint64_t maker_random(struct maker_random *random)
{
    random->state ^= random->state << 13;
    random->state ^= random->state >> 7;
    random->state ^= random->state << 17;
    return random->state * 0x2545f4914f6cdd1du >> 16;
}
static inline struct maker_random maker_random_from(uint64_t seed)
{
    struct maker_random random = {seed * 0x9e3779b97f4a7c15u + 1};
    for (unsigned i = 0; i < 4; i++)
        maker_random(&random);
    return random;
}
/* One of 0 .. count - 1. */
static inline size_t maker_below(struct maker_random *random, size_t count)
{
    return maker_random(random) % count;
}

#endif
