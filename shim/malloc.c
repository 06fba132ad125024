/*
 * malloc, calloc and free over jemalloc, with a record for every block: all but the hot path, which
 * is in fast.h.  realloc is in realloc.c.
 *
 * Order matters: a block is recorded after jemalloc gave it out and forgotten before jemalloc gets
 * it back, so a record never describes somebody else's block.  A check in between does not know of
 * the block; nothing of the program's can be in it yet, or any more.
 */
#include "shim/bad_free.h"
#include "shim/careful.h"
#include "shim/fast.h"
#include "shim/foreign.h"
#include "base/sys.h"
#include "coro/probe.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>

CRN_INLINE void counts_settle(struct crn_thread *self)
{
    if (crn_fast_counts_are_full(self->counts.live_bytes))
        crn_heap_counts_flush(&crn_heap, &self->counts);
}

uint32_t crn_block_owner(struct crn_thread *self, void *block)
{
    if (CRN_UNLIKELY(crn_heap.young.is_open))
        crn_young_note(&crn_heap.young, (uintptr_t)block);
    if (CRN_LIKELY_TRUE(self->owner != CRN_OWNER_NOTED))
        return self->owner;
    crn_owner_update(self); /* the list may have been closed */
    return self->coro;
}

static CRN_COLD void outside_note(struct crn_thread *self, void *block, size_t bytes,
                                  uint32_t stack, uint32_t owner)
{
    struct crn_outside_block row = {
        (uintptr_t)block,
        bytes,
        sallocx(block, 0),
        {stack, owner, crn_meta(0, crn_heap.birth_now, CRN_RECORD_LIVE)}};
    if (!crn_outside_add(&crn_heap.outside, row, self->tid))
        crn_shim_stand_down("there is no memory for the table of blocks outside its region");
}

/* Of MALLOCX_*: which cache of the thread's. */
enum { TCACHE_BITS = 0xfff00 };

void crn_block_note_slow(struct crn_thread *self, void *block, size_t bytes, unsigned class_index,
                         const uintptr_t *frame)
{
    uint32_t stack = 0;
    if (CRN_UNLIKELY(crn_shim.phase == CRN_SHIM_OFF)) {
        crn_foreign_note(block);
        return;
    }
    if (CRN_LIKELY_TRUE(crn_shim_is_due(self, bytes)))
        stack = crn_shim_stack_take(self, frame);
    uint32_t owner = crn_block_owner(self, block);
    if (CRN_LIKELY_TRUE(crn_index_is_inside(&crn_heap.index, (uintptr_t)block))) {
        struct crn_record *record =
            crn_index_slot_for(&crn_heap.index, (uintptr_t)block, class_index, self->tid);
        if (CRN_UNLIKELY(record == NULL)) {
            crn_shim_stand_down("there is no memory for records of blocks");
            return;
        }
        crn_record_write(record, bytes, stack, owner, crn_heap.birth_now);
    } else {
        outside_note(self, block, bytes, stack, owner);
    }
    crn_owner_count(owner, 1);
    self->counts.allocations++;
    self->counts.live_bytes += (int64_t)bytes;
    counts_settle(self);
}

/* Above 1 TiB there is no size class; such a block is an outside one, and 0 matches no record. */
CRN_INLINE unsigned class_of(size_t bytes)
{
    return bytes <= (size_t)1 << 40 ? crn_class_of(bytes) : 0;
}

static void plain_do(struct crn_thread *self, bool is_zeroed, struct crn_request *request)
{
    size_t asked = crn_fast_rounded(request->bytes);
    void *block = is_zeroed ? crn_shim.real.je_calloc(1, asked) : crn_shim.real.je_malloc(asked);
    request->result = (uintptr_t)block;
    if (block == NULL)
        return;
    if (!is_zeroed && asked <= crn_scrub_most_bytes)
        crn_scrub_part(block, asked, 0, sallocx(block, 0));
    if (CRN_LIKELY_TRUE(self != NULL))
        crn_block_note_slow(self, block, request->bytes, class_of(asked), request->frame);
    else
        crn_foreign_note(block);
}

void crn_block_adopt(void *block, size_t bytes, const uintptr_t *frame)
{
    struct crn_thread *self = crn_shim_thread();
    unsigned class_index = 0;
    if (self == NULL || !crn_index_is_inside(&crn_heap.index, (uintptr_t)block))
        return;
    struct crn_record *record = crn_index_slot(&crn_heap.index, (uintptr_t)block, &class_index);
    if (record == NULL || !crn_record_is_live(record))
        crn_block_note_slow(self, block, bytes, class_of(sallocx(block, 0)), frame);
}

static void malloc_do(struct crn_thread *self, struct crn_request *request)
{
    plain_do(self, false, request);
}

static void calloc_do(struct crn_thread *self, struct crn_request *request)
{
    plain_do(self, true, request);
}

void *crn_block_make(struct crn_thread *self, size_t bytes, int flags, const uintptr_t *frame)
{
    size_t asked = crn_fast_rounded(bytes);
    void *block =
        flags == 0 ? crn_shim.real.je_malloc(asked) : crn_shim.real.je_mallocx(asked, flags);
    if (block == NULL)
        return NULL;
    if (CRN_UNLIKELY(self == NULL))
        crn_foreign_note(block);
    else
        crn_fast_note(self, block, bytes, class_of(flags == 0 ? asked : sallocx(block, 0)), frame);
    return block;
}

/* As mallocx. */
static void *flagged_make(struct crn_thread *self, size_t bytes, int flags, const uintptr_t *frame)
{
    void *block = crn_block_make(self, bytes, flags, frame);
    if (block != NULL && (flags & MALLOCX_ZERO) == 0 && bytes <= crn_scrub_most_bytes)
        crn_scrub_part(block, bytes, 0, sallocx(block, 0));
    return block;
}

static void mallocx_do(struct crn_thread *self, struct crn_request *request)
{
    request->result = (uintptr_t)flagged_make(self, request->bytes, request->flags, request->frame);
}

static CRN_COLD void special_free(struct crn_thread *self, uintptr_t start, size_t usable)
{
    crn_coro_note_memory_gone(start, start + usable, self->tid);
    crn_watches_note_gone(start, start + usable, self->tid);
}

/* Of a block outside the region; false: it is none that we know. */
static CRN_COLD bool outside_free(struct crn_thread *self, void *block, int flags)
{
    struct crn_outside_block removed;
    if (!crn_outside_remove(&crn_heap.outside, (uintptr_t)block, &removed, self->tid))
        return false;
    crn_owner_count(removed.record.coro, -1);
    self->counts.frees++;
    self->counts.live_bytes -= (int64_t)removed.size;
    special_free(self, removed.start, removed.usable);
    crn_shim.real.je_dallocx(block, flags);
    return true;
}

void crn_block_free(struct crn_thread *self, void *block, int flags)
{
    unsigned class_index = 0;
    flags &= TCACHE_BITS;
    if (CRN_UNLIKELY(self == NULL || !crn_index_is_inside(&crn_heap.index, (uintptr_t)block))) {
        if (self != NULL && crn_shim.phase != CRN_SHIM_OFF && outside_free(self, block, flags))
            return;
        if (!crn_foreign_free(block, flags))
            crn_bad_free_note((struct crn_bad_free){"free()", (uintptr_t)block, NULL});
        return;
    }
    struct crn_record *record = crn_index_slot(&crn_heap.index, (uintptr_t)block, &class_index);
    if (CRN_UNLIKELY(record == NULL || !crn_record_is_live(record))) {
        /* Every block is on record, so this is none, unless we stood down just now. */
        if (crn_shim.phase == CRN_SHIM_OFF)
            crn_shim.real.je_dallocx(block, flags);
        else
            crn_bad_free_note((struct crn_bad_free){"free()", (uintptr_t)block, record});
        return;
    }
    uint64_t meta = record->meta;
    self->counts.frees++;
    self->counts.live_bytes -= (int64_t)(meta & CRN_META_SIZE_MASK);
    size_t usable = crn_classes[class_index].bytes;
    if (CRN_UNLIKELY((meta & CRN_META_SPECIAL) != 0))
        special_free(self, (uintptr_t)block, usable);
    crn_owner_count(record->coro, -1);
    crn_record_close(record, meta);
    counts_settle(self);
    crn_shim.real.je_sdallocx(block, usable, flags);
}

static void free_do(struct crn_thread *self, struct crn_request *request)
{
    crn_block_free(self, request->block, request->flags);
}

CRN_COLD CRN_REALIGNED void *crn_allocate_slow(size_t bytes, bool is_zeroed, const uintptr_t *frame)
{
    return (void *)crn_careful(is_zeroed ? calloc_do : malloc_do, NULL, bytes, 0, 0, frame);
}

CRN_COLD CRN_REALIGNED void crn_release_slow(void *block)
{
    if (block == NULL)
        return;
    if (crn_shim.phase == CRN_SHIM_OFF)
        crn_foreign_free(block, 0);
    else
        crn_careful(free_do, block, 0, 0, 0, __builtin_frame_address(0));
}

void *crn_allocate(size_t bytes, const uintptr_t *frame)
{
    return crn_fast_allocate(bytes, false, frame);
}

void *crn_allocate_flagged(size_t bytes, int flags, const uintptr_t *frame)
{
    struct crn_thread *self = crn_self;
    if (crn_fast_is_open(self, (uintptr_t)frame))
        return flagged_make(self, bytes, flags, frame);
    return (void *)crn_careful(mallocx_do, NULL, bytes, 0, flags, frame);
}

void crn_release_flagged(void *block, int flags, const uintptr_t *frame)
{
    struct crn_thread *self = crn_self;
    if (block == NULL)
        return;
    if (crn_fast_is_open(self, (uintptr_t)frame))
        crn_block_free(self, block, flags);
    else
        crn_careful(free_do, block, 0, 0, flags, frame);
}

void crn_release(void *block)
{
    crn_fast_release(block);
}

CRN_EXPORT void *malloc(size_t bytes)
{
    return crn_fast_allocate(bytes, false, __builtin_frame_address(0));
}

CRN_EXPORT void *calloc(size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return crn_fast_allocate(total, true, __builtin_frame_address(0));
}
