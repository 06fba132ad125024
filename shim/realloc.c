/*
 * realloc and its relatives: a block changes its size.
 *
 * A check may come at any moment, and must find the block:
 *
 *     it stays   its record is changed by one store (crn_record_replace): it is never absent
 *     it moves   old and new block are both on record until the contents are safe, and held
 *                through `in_flight` in the thread's record, whatever stack we work on
 *
 * A block that was resized counts as newly allocated, wherever it is: stack, owner and birth are
 * those of the call.
 */
#include "shim/bad_free.h"
#include "shim/careful.h"
#include "shim/fast.h"
#include "shim/foreign.h"
#include "base/sys.h"
#include "coro/scope.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <malloc.h>
#include <string.h>

enum { ALIGNMENT_BITS = 0x3f }; /* of MALLOCX_*: the logarithm of the alignment */

/* A block as it was when the call began. */
struct known_block {
    struct crn_record *record; /* NULL: an outside block */
    size_t size, usable;
};

static bool block_know(struct crn_thread *self, void *block, struct known_block *known)
{
    struct crn_outside_block outside;
    unsigned class_index = 0;
    if (self == NULL || crn_shim.phase == CRN_SHIM_OFF)
        return false;
    if (crn_index_is_inside(&crn_heap.index, (uintptr_t)block)) {
        known->record = crn_index_slot(&crn_heap.index, (uintptr_t)block, &class_index);
        if (known->record == NULL || !crn_record_is_live(known->record))
            return false;
        known->size = crn_record_size(known->record);
        known->usable = crn_classes[class_index].bytes;
        return true;
    }
    if (!crn_outside_find(&crn_heap.outside, (uintptr_t)block, &outside, self->tid))
        return false;
    *known = (struct known_block){NULL, outside.size, outside.usable};
    return true;
}

/* Makes the page of a large block that has another class now say so; its record stays. */
static void class_change(struct crn_thread *self, void *block, size_t usable)
{
    crn_index_slot_for(&crn_heap.index, (uintptr_t)block, crn_class_of(usable), self->tid);
}

/* The block stays where it is, with another exact size. */
static void resized_in_place(struct crn_thread *self, void *block, struct known_block *known,
                             size_t bytes, const uintptr_t *frame)
{
    uint32_t stack = crn_shim_is_due(self, bytes) ? crn_shim_stack_take(self, frame) : 0;
    uint32_t owner = crn_block_owner(self, block), before = owner;
    size_t usable = known->usable;
    if (known->record == NULL || usable > CRN_CLASS_SMALL_MAX_BYTES)
        usable = sallocx(block, 0);
    if (bytes < known->size && !crn_asked_has(&crn_heap.asked, (uintptr_t)block))
        crn_scrub_part(block, bytes, bytes, known->size < usable ? known->size : usable);
    crn_scrub_part(block, bytes, known->usable, usable);
    crn_owner_count(owner, 1); /* first: a scope must not look empty in between */
    if (CRN_UNLIKELY(crn_heap.young.is_open) && known->record != NULL &&
        crn_birth_of(&crn_heap, known->record) < crn_heap.birth_line)
        crn_heap.young.has_grown = 1;
    if (known->record != NULL) {
        /* The exact size is never more than what the page's class says. */
        if (usable > known->usable)
            class_change(self, block, usable);
        before = crn_record_replace(known->record, bytes, stack, owner, crn_heap.birth_now);
        if (usable < known->usable)
            class_change(self, block, usable);
    } else {
        struct crn_outside_block outside = {0};
        crn_outside_find(&crn_heap.outside, (uintptr_t)block, &outside, self->tid);
        before = outside.record.coro;
        outside.size = bytes;
        outside.usable = usable;
        outside.record =
            (struct crn_record){stack, owner, crn_meta(0, crn_heap.birth_now, CRN_RECORD_LIVE)};
        crn_outside_update(&crn_heap.outside, outside, self->tid);
    }
    crn_owner_count(before, -1);
    self->counts.frees++;
    self->counts.allocations++;
    int64_t live_bytes = self->counts.live_bytes += (int64_t)bytes - (int64_t)known->size;
    if (crn_fast_counts_are_full(live_bytes))
        crn_heap_counts_flush(&crn_heap, &self->counts);
}

/* Whether a block can have another size where it is; then it has it. */
static bool stays_in_place(void *block, const struct known_block *known, size_t asked, int flags)
{
    bool is_plain = flags == 0 && asked <= CRN_CLASS_TABLE_MAX_BYTES;
    size_t usable = is_plain ? crn_classes[crn_class_of(asked)].bytes
                             : crn_shim.real.je_nallocx(asked, flags);
    size_t alignment = (size_t)1 << (flags & ALIGNMENT_BITS);
    return ((uintptr_t)block & (alignment - 1)) == 0 &&
           (usable == known->usable ||
            (known->usable > CRN_CLASS_SMALL_MAX_BYTES && asked > CRN_CLASS_SMALL_MAX_BYTES &&
             crn_shim.real.je_xallocx(block, asked, 0, flags) == usable));
}

/* Copies a block to where there is room for it.  MALLOCX_ZERO holds for what is behind it. */
static void *block_move(struct crn_thread *self, void *block, const struct known_block *known,
                        const struct crn_request *request)
{
    void *moved = crn_block_make(self, request->bytes, request->flags, request->frame);
    if (moved == NULL)
        return NULL;
    /* A handler on top of us may move a block of its own; it puts back what it finds. */
    uintptr_t outer[2] = {self->in_flight[0], self->in_flight[1]};
    self->in_flight[0] = (uintptr_t)block;
    self->in_flight[1] = (uintptr_t)moved;
    atomic_signal_fence(memory_order_seq_cst);
    size_t copied = known->usable < request->bytes ? known->usable : request->bytes;
    memcpy(moved, block, copied);
    if ((request->flags & MALLOCX_ZERO) == 0 && request->bytes <= crn_scrub_most_bytes)
        crn_scrub_part(moved, request->bytes, copied, sallocx(moved, 0));
    crn_block_free(self, block, request->flags);
    atomic_signal_fence(memory_order_seq_cst);
    self->in_flight[0] = outer[0];
    self->in_flight[1] = outer[1];
    return moved;
}

/* Not on record, and not from before or from others; then that has been noted. */
static CRN_COLD bool is_no_block(void *block)
{
    bool is_inside = crn_index_is_inside(&crn_heap.index, (uintptr_t)block);
    unsigned class_index;
    if (crn_shim.phase == CRN_SHIM_OFF || (!is_inside && !crn_foreign_is_nobodys(block)))
        return false;
    const struct crn_record *record =
        is_inside ? crn_index_slot(&crn_heap.index, (uintptr_t)block, &class_index) : NULL;
    crn_bad_free_note((struct crn_bad_free){"realloc()", (uintptr_t)block, record});
    return true;
}

static void realloc_do(struct crn_thread *self, struct crn_request *request)
{
    struct known_block known;
    void *block = request->block;
    size_t asked = crn_fast_rounded(request->bytes);
    bool is_known = block_know(self, block, &known);
    if (!is_known && self != NULL && is_no_block(block)) {
        request->result =
            (uintptr_t)crn_block_make(self, request->bytes, request->flags, request->frame);
    } else if (!is_known) {
        request->result = (uintptr_t)crn_foreign_realloc(block, request->bytes, request->flags);
    } else if (request->bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
    } else if (stays_in_place(block, &known, asked, request->flags)) {
        resized_in_place(self, block, &known, request->bytes, request->frame);
        request->result = (uintptr_t)block;
    } else {
        request->result = (uintptr_t)block_move(self, block, &known, request);
    }
}

static void xallocx_do(struct crn_thread *self, struct crn_request *request)
{
    struct known_block known;
    size_t bytes = request->bytes;
    bool is_known = block_know(self, request->block, &known);
    size_t usable = crn_shim.real.je_xallocx(request->block, crn_fast_rounded(bytes),
                                             request->extra, request->flags);
    if (is_known && usable >= bytes) {
        size_t most = bytes + request->extra;
        resized_in_place(self, request->block, &known, most < usable ? most : usable,
                         request->frame);
    }
    request->result = usable;
}

void *crn_reallocate_flagged(void *block, size_t bytes, int flags, const uintptr_t *frame)
{
    return (void *)crn_careful(realloc_do, block, bytes, 0, flags, frame);
}

size_t crn_resize_flagged(void *block, size_t bytes, size_t extra, int flags,
                          const uintptr_t *frame)
{
    return crn_careful(xallocx_do, block, bytes, extra, flags, frame);
}

/* As glibc: realloc(NULL, n) is malloc, realloc(p, 0) frees. */
static inline void *reallocate(void *block, size_t bytes, const uintptr_t *frame)
{
    if (block == NULL)
        return crn_allocate(bytes, frame);
    if (bytes == 0) {
        crn_release(block);
        return NULL;
    }
    struct crn_thread *self = crn_self;
    if (!crn_fast_is_open(self, (uintptr_t)frame))
        return (void *)crn_careful(realloc_do, block, bytes, 0, 0, frame);
    struct crn_request request = {.block = block, .bytes = bytes, .frame = frame};
    realloc_do(self, &request);
    return (void *)request.result;
}

CRN_EXPORT void *realloc(void *block, size_t bytes)
{
    return reallocate(block, bytes, __builtin_frame_address(0));
}

CRN_EXPORT void *reallocarray(void *block, size_t count, size_t bytes)
{
    size_t total;
    if (__builtin_mul_overflow(count, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return reallocate(block, total, __builtin_frame_address(0));
}

CRN_EXPORT CRN_REALIGNED size_t malloc_usable_size(void *block)
{
    struct known_block known;
    if (block == NULL)
        return 0;
    if (!block_know(crn_shim_thread(), block, &known))
        return crn_foreign_usable(block);
    crn_asked_note(&crn_heap.asked, (uintptr_t)block);
    return known.usable;
}
