#ifndef CRN_FAST_H
#define CRN_FAST_H
/*
 * The hot path: malloc and free on a stack we know, with room, of a block we know, inlined into
 * each interposed function that is worth it.
 *
 * It touches the thread's record (two lines), a word of the page map, the block's record (its
 * 16 bytes) and read-only data; it takes no lock, writes nothing that other threads write (two
 * records may share a line when two threads' blocks share a page), and divides by multiplying.
 * Whatever is not as expected goes to one call of the slow path, before anything has been done, so
 * nothing of it is here.
 */
#include "shim/malloc.h"
#include "heap/scrub.h"

/* The slow path: does the whole operation, whatever is the matter. */
void *crn_allocate_slow(size_t bytes, bool is_zeroed, const uintptr_t *frame);
void crn_release_slow(void *block);

/* Records a block that jemalloc has just handed out, whatever is the matter. */
void crn_block_note_slow(struct crn_thread *self, void *block, size_t bytes, unsigned class_index,
                         const uintptr_t *frame);

/*
 * Whether a thread is known, and its stack is where we need not be careful.  `cfa` is the frame
 * address of the interposed function, or its CFA: both are multiples of 16, unless whoever called
 * had rsp off by 8.  Then the low bits, rotated to the top, make it lie far away, and the slow path
 * sets the stack right.
 */
CRN_INLINE bool crn_fast_is_open(const struct crn_thread *self, uintptr_t cfa)
{
    if (CRN_UNLIKELY(self == NULL))
        return false;
    uintptr_t above = cfa - self->fast_start;
    return CRN_LIKELY_TRUE((above >> 4 | above << 60) < self->fast_rows);
}

/* Requests are rounded up to 16, so that the 8-byte class does not occur. */
CRN_INLINE size_t crn_fast_rounded(size_t bytes)
{
    return bytes < 16 ? 16 : bytes;
}

CRN_INLINE bool crn_fast_counts_are_full(int64_t live_bytes)
{
    return CRN_UNLIKELY((uint64_t)(live_bytes + CRN_COUNTS_SLACK_BYTES) >
                        2 * CRN_COUNTS_SLACK_BYTES);
}

/* Records a block of `class_index` that jemalloc has just handed out. */
CRN_INLINE void crn_fast_note(struct crn_thread *self, void *block, size_t bytes,
                              unsigned class_index, const uintptr_t *frame)
{
    struct crn_index *index = &crn_heap.index;
    unsigned seen = 0;
    struct crn_record *record = NULL;
    if (CRN_LIKELY_TRUE(crn_index_is_inside(index, (uintptr_t)block)))
        record = crn_index_slot(index, (uintptr_t)block, &seen);
    if (CRN_UNLIKELY(record == NULL || seen != class_index || (int32_t)self->owner < 0)) {
        crn_block_note_slow(self, block, bytes, class_index, frame);
        return;
    }
    /* To be written soon; gcc's prefetch would ask for a copy that other cores keep, too. */
    __asm__ volatile("prefetchw %0" : : "m"(*record));
    uint32_t stack = 0;
    if (CRN_LIKELY_TRUE(crn_shim_is_due(self, bytes)))
        stack = crn_shim_stack_take(self, frame);
    crn_record_write(record, bytes, stack, self->owner, crn_heap.birth_now);
    self->counts.allocations++;
    int64_t live_bytes = self->counts.live_bytes += (int64_t)bytes;
    if (crn_fast_counts_are_full(live_bytes))
        crn_heap_counts_flush(&crn_heap, &self->counts);
}

/* malloc, and calloc of one element.  NULL as malloc; errno is jemalloc's. */
CRN_INLINE void *crn_fast_allocate(size_t bytes, bool is_zeroed, const uintptr_t *frame)
{
    struct crn_thread *self = crn_self;
    if (CRN_UNLIKELY(!crn_fast_is_open(self, (uintptr_t)frame) || bytes > (size_t)1 << 40))
        return crn_allocate_slow(bytes, is_zeroed, frame);
    size_t asked = crn_fast_rounded(bytes);
    unsigned class_index = crn_class_of(asked);
    void *block = is_zeroed ? crn_shim.real.je_calloc(1, asked) : crn_shim.real.je_malloc(asked);
    if (CRN_LIKELY_TRUE(block != NULL)) {
        if (!is_zeroed && CRN_LIKELY_TRUE(asked <= crn_scrub_most_bytes))
            crn_scrub(block, crn_classes[class_index].bytes);
        crn_fast_note(self, block, bytes, class_index, frame);
    }
    return block;
}

/* free.  The last thing it does is a call, with the same arguments: a jump, when compiled so. */
CRN_INLINE void crn_fast_release(void *block)
{
    struct crn_thread *self = crn_self;
    struct crn_index *index = &crn_heap.index;
    unsigned class_index = 0;
    uintptr_t cfa = (uintptr_t)__builtin_dwarf_cfa(); /* needs no frame */
    if (CRN_UNLIKELY(!crn_fast_is_open(self, cfa) ||
                     !crn_index_is_inside(index, (uintptr_t)block))) {
        crn_release_slow(block); /* NULL, too */
        return;
    }
    struct crn_record *record = crn_index_slot(index, (uintptr_t)block, &class_index);
    if (CRN_UNLIKELY(record == NULL)) {
        crn_release_slow(block);
        return;
    }
    uint64_t meta = record->meta, closed = meta ^ CRN_META_LIVE;
    int64_t live_bytes = self->counts.live_bytes - (int64_t)(meta & CRN_META_SIZE_MASK);
    if (CRN_UNLIKELY(closed >> CRN_META_FLAGS_SHIFT != 0 || (int32_t)record->coro < 0 ||
                     crn_fast_counts_are_full(live_bytes))) {
        /* No block; a coroutine's stack lies in it; a scope counts it; or it is time. */
        crn_release_slow(block);
        return;
    }
    self->counts.live_bytes = live_bytes;
    self->counts.frees++;
    __atomic_store_n(&record->meta, closed, __ATOMIC_RELAXED);
    crn_shim.real.je_sdallocx(block, crn_classes[class_index].bytes, 0);
}

#endif
