/*
 * The malloc family over jemalloc, with a record for every block: all but the hot path, which is in
 * fast.h.
 *
 * What is not plain sailing goes through careful(): a thread's first call, a stack we have not
 * seen, one with little room left (then all the work is done on a scratch stack of ours).
 *
 * Order matters: a block is recorded after jemalloc gave it out and forgotten before jemalloc gets
 * it back, so a record never describes somebody else's block.  realloc moves by hand for the same
 * reason: old and new are both on record until the contents are safe.
 */
#include "shim/fast.h"
#include "coro/probe.h"
#include "base/sys.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <signal.h>
#include <string.h>

enum operation {
    OP_MALLOC,
    OP_CALLOC,
    OP_REALLOC,
    OP_FREE,
    OP_MALLOCX, /* and every aligned one */
    OP_RALLOCX,
    OP_XALLOCX,
    OP_DALLOCX
};

struct request {
    enum operation operation;
    int flags;              /* MALLOCX_* */
    size_t bytes, extra;
    void *block;            /* of free and realloc */
    const uintptr_t *frame; /* of the interposed function */
    void *result;
    size_t usable;          /* the result of xallocx */
};

CRN_INLINE void counts_settle(struct crn_thread *self)
{
    if (crn_fast_counts_are_full(self->counts.live_bytes))
        crn_heap_counts_flush(&crn_heap, &self->counts);
}

static CRN_COLD void outside_note(struct crn_thread *self, void *block, size_t bytes,
                                  uint32_t stack)
{
    struct crn_record record = {stack, self->owner,
                                crn_meta(bytes & CRN_META_SIZE_MASK, crn_heap.birth_now,
                                         CRN_RECORD_LIVE)};
    if (!crn_outside_add(&crn_heap.outside, (uintptr_t)block, sallocx(block, 0), record, self->tid))
        crn_shim_stand_down("there is no memory for the table of blocks outside its region");
}

/* Of MALLOCX_*: the logarithm of the alignment, and which cache of the thread's. */
enum { ALIGNMENT_BITS = 0x3f, TCACHE_BITS = 0xfff00 };

void crn_block_note_slow(struct crn_thread *self, void *block, size_t bytes, unsigned class_index,
                         const uintptr_t *frame)
{
    uint32_t stack = 0;
    if (CRN_LIKELY_TRUE(crn_shim_is_due(self, bytes)))
        stack = crn_shim_stack_take(self, frame);
    if (CRN_LIKELY_TRUE(crn_index_is_inside(&crn_heap.index, (uintptr_t)block))) {
        struct crn_record *record =
            crn_index_slot_for(&crn_heap.index, (uintptr_t)block, class_index, self->tid);
        if (CRN_UNLIKELY(record == NULL)) {
            crn_shim_stand_down("there is no memory for records of blocks");
            return;
        }
        crn_record_write(record, bytes, stack, self->owner, crn_heap.birth_now);
    } else {
        outside_note(self, block, bytes, stack);
    }
    crn_owner_count(self->owner, 1);
    self->counts.allocations++;
    self->counts.live_bytes += (int64_t)bytes;
    counts_settle(self);
}

/* 2^40 is beyond us. */
CRN_INLINE unsigned class_of(size_t bytes)
{
    return bytes <= (size_t)1 << 40 ? crn_class_of(bytes) : 0;
}

static void *plain_do(struct crn_thread *self, bool is_zeroed, size_t bytes,
                          const uintptr_t *frame)
{
    size_t asked = crn_fast_rounded(bytes);
    void *block = is_zeroed ? crn_shim.real.je_calloc(1, asked) : crn_shim.real.je_malloc(asked);
    if (CRN_LIKELY_TRUE(block != NULL))
        crn_block_note_slow(self, block, bytes, class_of(asked), frame);
    return block;
}

static void *mallocx_do(struct crn_thread *self, size_t bytes, int flags, const uintptr_t *frame)
{
    void *block = crn_shim.real.je_mallocx(crn_fast_rounded(bytes), flags);
    if (block != NULL)
        crn_fast_note(self, block, bytes, class_of(sallocx(block, 0)), frame);
    return block;
}

static CRN_COLD void special_free(struct crn_thread *self, uintptr_t start, size_t usable)
{
    crn_coro_note_memory_gone(start, start + usable, self->tid);
    crn_watches_note_gone(start, start + usable, self->tid);
}

/*
 * A pointer that is not ours: from libc's own malloc (a library that binds to itself first), or
 * from before malloc existed.  libc's chunk header tells them apart as far as can be.
 */
static bool is_libc_chunk(const void *block)
{
    size_t header;
    if (((uintptr_t)block & 15) != 0 ||
        !crn_memory_read(&header, (uintptr_t)block - sizeof header, sizeof header))
        return false;
    return (header & ~(size_t)7) >= 32 && header < (size_t)1 << 46;
}

static CRN_COLD void foreign_free(struct crn_thread *self, void *block, int flags)
{
    struct crn_outside_block removed;
    int tid = self != NULL ? self->tid : crn_sys_gettid();
    if (crn_outside_remove(&crn_heap.outside, (uintptr_t)block, &removed, tid)) {
        crn_owner_count(removed.record.coro, -1);
        if (self != NULL) {
            self->counts.frees++;
            self->counts.live_bytes -= (int64_t)crn_record_size(&removed.record);
        }
        crn_coro_note_memory_gone(removed.start, removed.start + removed.usable, tid);
        crn_shim.real.je_dallocx(block, flags);
    } else if (crn_shim.real.libc_free != NULL && is_libc_chunk(block)) {
        crn_shim.real.libc_free(block);
    }
}

static void free_do(struct crn_thread *self, void *block, int flags)
{
    unsigned class_index = 0;
    if (CRN_UNLIKELY(!crn_index_is_inside(&crn_heap.index, (uintptr_t)block))) {
        foreign_free(self, block, flags);
        return;
    }
    struct crn_record *record = crn_index_slot(&crn_heap.index, (uintptr_t)block, &class_index);
    if (CRN_UNLIKELY(record == NULL || !crn_record_is_live(record))) {
        /* Never recorded, or not a block: jemalloc's to judge. */
        crn_shim.real.je_dallocx(block, flags);
        return;
    }
    uint64_t meta = record->meta;
    self->counts.frees++;
    self->counts.live_bytes -= (int64_t)(meta & CRN_META_SIZE_MASK);
    size_t usable = crn_classes[class_index].bytes;
    if (CRN_UNLIKELY((meta >> CRN_META_FLAGS_SHIFT & CRN_RECORD_SPECIAL) != 0))
        special_free(self, (uintptr_t)block, usable);
    crn_owner_count(record->coro, -1);
    crn_record_clear(record);
    counts_settle(self);
    crn_shim.real.je_sdallocx(block, usable, flags);
}

/* A block as realloc and malloc_usable_size need it. */
struct known_block {
    struct crn_record *record; /* NULL: an outside block */
    size_t size, usable;
};

static bool block_know(struct crn_thread *self, void *block, struct known_block *known)
{
    struct crn_outside_block outside;
    unsigned class_index = 0;
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
    *known = (struct known_block){NULL, crn_record_size(&outside.record), outside.usable};
    return true;
}

/* The block stays where it is, with another exact size. */
static void resized_in_place(struct crn_thread *self, void *block, struct known_block *known,
                             size_t bytes, const uintptr_t *frame)
{
    uint64_t special = 0;
    if (known->record != NULL) {
        special = known->record->meta & (uint64_t)CRN_RECORD_SPECIAL << CRN_META_FLAGS_SHIFT;
        crn_owner_count(known->record->coro, -1);
        crn_record_clear(known->record);
    } else {
        struct crn_outside_block removed = {0};
        crn_outside_remove(&crn_heap.outside, (uintptr_t)block, &removed, self->tid);
        crn_owner_count(removed.record.coro, -1);
    }
    self->counts.frees++;
    self->counts.live_bytes -= (int64_t)known->size;
    crn_fast_note(self, block, bytes, class_of(sallocx(block, 0)), frame);
    struct known_block again;
    if (special != 0 && block_know(self, block, &again) && again.record != NULL)
        again.record->meta |= special;
}

/* Whether a block can have another size where it is; then it has it. */
static bool stays_in_place(void *block, const struct known_block *known, size_t asked, int flags)
{
    size_t usable = crn_shim.real.je_nallocx(asked, flags);
    size_t alignment = (size_t)1 << (flags & ALIGNMENT_BITS);
    return ((uintptr_t)block & (alignment - 1)) == 0 &&
           (usable == known->usable ||
            (known->usable > CRN_CLASS_SMALL_MAX_BYTES && asked > CRN_CLASS_SMALL_MAX_BYTES &&
             crn_shim.real.je_xallocx(block, asked, 0, flags) == usable));
}

static void *realloc_do(struct crn_thread *self, void *block, size_t bytes, const uintptr_t *frame)
{
    struct known_block known;
    if (!block_know(self, block, &known)) {
        /* From before we could record. */
        if (crn_index_is_inside(&crn_heap.index, (uintptr_t)block))
            return crn_shim.real.je_rallocx(block, crn_fast_rounded(bytes), 0);
        if (crn_shim.real.libc_realloc != NULL && is_libc_chunk(block))
            return crn_shim.real.libc_realloc(block, bytes);
        errno = ENOMEM;
        return NULL;
    }
    if (bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    size_t asked = crn_fast_rounded(bytes);
    if (stays_in_place(block, &known, asked, 0)) {
        resized_in_place(self, block, &known, bytes, frame);
        return block;
    }
    void *moved = plain_do(self, false, bytes, frame);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, known.usable < bytes ? known.usable : bytes);
    free_do(self, block, 0);
    return moved;
}

/* The same with jemalloc's flags; MALLOCX_ZERO holds for what is behind the old contents. */
static void *rallocx_do(struct crn_thread *self, void *block, size_t bytes, int flags,
                        const uintptr_t *frame)
{
    struct known_block known;
    size_t asked = crn_fast_rounded(bytes);
    if (!block_know(self, block, &known))
        return crn_shim.real.je_rallocx(block, asked, flags);
    if (stays_in_place(block, &known, asked, flags)) {
        resized_in_place(self, block, &known, bytes, frame);
        return block;
    }
    void *moved = mallocx_do(self, bytes, flags, frame);
    if (moved == NULL)
        return NULL;
    memcpy(moved, block, known.usable < bytes ? known.usable : bytes);
    free_do(self, block, flags & TCACHE_BITS);
    return moved;
}

static size_t xallocx_do(struct crn_thread *self, const struct request *request)
{
    struct known_block known;
    size_t bytes = request->bytes;
    bool is_known = block_know(self, request->block, &known);
    size_t usable = crn_shim.real.je_xallocx(request->block, crn_fast_rounded(bytes), request->extra,
                                             request->flags);
    if (is_known && usable >= bytes) {
        size_t most = bytes + request->extra;
        resized_in_place(self, request->block, &known, most < usable ? most : usable,
                         request->frame);
    }
    return usable;
}

static void request_do(void *argument)
{
    struct request *request = argument;
    struct crn_thread *self = crn_self;
    switch (request->operation) {
    case OP_MALLOC:
    case OP_CALLOC:
        request->result =
            plain_do(self, request->operation == OP_CALLOC, request->bytes, request->frame);
        break;
    case OP_REALLOC:
        request->result = realloc_do(self, request->block, request->bytes, request->frame);
        break;
    case OP_FREE:
    case OP_DALLOCX:
        free_do(self, request->block, request->flags);
        break;
    case OP_MALLOCX:
        request->result = mallocx_do(self, request->bytes, request->flags, request->frame);
        break;
    case OP_RALLOCX:
        request->result =
            rallocx_do(self, request->block, request->bytes, request->flags, request->frame);
        break;
    case OP_XALLOCX:
        request->usable = xallocx_do(self, request);
        break;
    }
}

/* Without a record of the thread nothing can be noted: jemalloc alone serves the request. */
static void unwatched_do(struct request *request)
{
    switch (request->operation) {
    case OP_MALLOC:
        request->result = crn_shim.real.je_malloc(crn_fast_rounded(request->bytes));
        break;
    case OP_CALLOC:
        request->result = crn_shim.real.je_calloc(1, crn_fast_rounded(request->bytes));
        break;
    case OP_MALLOCX:
        request->result = crn_shim.real.je_mallocx(crn_fast_rounded(request->bytes), request->flags);
        break;
    case OP_REALLOC:
    case OP_RALLOCX:
        request->result =
            crn_shim.real.je_rallocx(request->block, crn_fast_rounded(request->bytes), request->flags);
        break;
    case OP_XALLOCX:
        request->usable = crn_shim.real.je_xallocx(request->block, crn_fast_rounded(request->bytes),
                                                   request->extra, request->flags);
        break;
    case OP_FREE:
    case OP_DALLOCX:
        if (crn_index_is_inside(&crn_heap.index, (uintptr_t)request->block) ||
            crn_heap.index.span == 0)
            crn_shim.real.je_dallocx(request->block, request->flags);
        else
            foreign_free(NULL, request->block, request->flags);
        break;
    }
}

static void resolve_do(void *argument)
{
    crn_coro_resolve(crn_self, *(const uintptr_t *)argument);
}

/* On a signal stack, whose walks nobody remembers: the handler will be over soon. */
static void signal_stack_do(struct crn_thread *self, struct request *request)
{
    stack_t current;
    struct crn_memo *usual = self->memo, passing = {.count = 0};
    if (crn_syscall2(SYS_sigaltstack, NULL, &current) == 0 &&
        (uintptr_t)request->frame - (uintptr_t)current.ss_sp < current.ss_size)
        passing.bounds = (struct crn_stack_bounds){
            (uintptr_t)current.ss_sp, (uintptr_t)current.ss_sp + current.ss_size};
    self->memo = &passing;
    crn_shim_on_scratch(self, request_do, request);
    self->memo = usual;
    crn_memo_fini(&passing);
}

static CRN_COLD void careful_do(struct request *request)
{
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL) {
        unwatched_do(request);
        return;
    }
    uintptr_t sp = (uintptr_t)request->frame;
    if (self->is_busy || self->is_on_scratch) {
        /* A handler on top of us: do it here and now, without a stack; the memo is of another. */
        uint32_t was_busy = self->is_busy;
        self->is_busy = 1;
        request_do(request);
        self->is_busy = was_busy;
        return;
    }
    if (sp - self->stack_start >= self->stack_span) {
        self->is_busy = 1;
        crn_shim_on_scratch(self, resolve_do, &sp);
        self->is_busy = 0;
    }
    if (sp - self->fast_start < self->fast_span)
        request_do(request);
    else if (sp - self->stack_start < self->stack_span)
        crn_shim_on_scratch(self, request_do, request);
    else
        signal_stack_do(self, request);
}

static CRN_COLD void *careful(struct request request)
{
    careful_do(&request);
    return request.result;
}

CRN_INLINE bool is_plain_sailing(const struct crn_thread *self, const void *frame)
{
    return crn_fast_is_open(self, (uintptr_t)frame);
}

CRN_COLD void *crn_allocate_slow(size_t bytes, bool is_zeroed, const uintptr_t *frame)
{
    return careful((struct request){
        .operation = is_zeroed ? OP_CALLOC : OP_MALLOC, .bytes = bytes, .frame = frame});
}

CRN_COLD void crn_release_slow(void *block)
{
    if (block != NULL)
        careful((struct request){
            .operation = OP_FREE, .block = block, .frame = __builtin_frame_address(0)});
}

void *crn_allocate(size_t bytes, const uintptr_t *frame)
{
    return crn_fast_allocate(bytes, false, frame);
}

void *crn_allocate_flagged(size_t bytes, int flags, const uintptr_t *frame)
{
    struct crn_thread *self = crn_self;
    if (is_plain_sailing(self, frame))
        return mallocx_do(self, bytes, flags, frame);
    return careful((struct request){
        .operation = OP_MALLOCX, .bytes = bytes, .flags = flags, .frame = frame});
}

void *crn_reallocate_flagged(void *block, size_t bytes, int flags, const uintptr_t *frame)
{
    return careful((struct request){.operation = OP_RALLOCX,
                                    .block = block,
                                    .bytes = bytes,
                                    .flags = flags,
                                    .frame = frame});
}

size_t crn_resize_flagged(void *block, size_t bytes, size_t extra, int flags,
                          const uintptr_t *frame)
{
    struct request request = {.operation = OP_XALLOCX,
                              .block = block,
                              .bytes = bytes,
                              .extra = extra,
                              .flags = flags,
                              .frame = frame};
    careful_do(&request);
    return request.usable;
}

void crn_release_flagged(void *block, int flags, const uintptr_t *frame)
{
    struct crn_thread *self = crn_self;
    if (block == NULL)
        return;
    if (is_plain_sailing(self, frame))
        free_do(self, block, flags & TCACHE_BITS);
    else
        careful((struct request){
            .operation = OP_DALLOCX, .block = block, .flags = flags & TCACHE_BITS, .frame = frame});
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
    if (is_plain_sailing(self, frame))
        return realloc_do(self, block, bytes, frame);
    return careful((struct request){
        .operation = OP_REALLOC, .block = block, .bytes = bytes, .frame = frame});
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

CRN_EXPORT size_t malloc_usable_size(void *block);
CRN_EXPORT size_t malloc_usable_size(void *block)
{
    struct known_block known;
    struct crn_thread *self = block != NULL ? crn_shim_thread() : NULL;
    if (self != NULL && block_know(self, block, &known))
        return known.usable;
    if (block == NULL)
        return 0;
    if (crn_index_is_inside(&crn_heap.index, (uintptr_t)block) || self == NULL)
        return sallocx(block, 0);
    size_t header = 0;
    if (is_libc_chunk(block))
        crn_memory_read(&header, (uintptr_t)block - sizeof header, sizeof header);
    return header == 0 ? 0 : (header & ~(size_t)7) - ((header & 2) != 0 ? 16 : 8);
}
