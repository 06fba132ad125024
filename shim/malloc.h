#ifndef CRN_MALLOC_H
#define CRN_MALLOC_H
/*
 * Allocation for the interposed functions of the shim.
 *
 * `frame` is __builtin_frame_address(0) of the interposed function itself: above it lie its
 * caller's rbp and the return address, where the allocation stack begins.
 */
#include "shim/state.h"

/* As malloc, errno included. */
void *crn_allocate(size_t bytes, const uintptr_t *frame);

/* As aligned_alloc with a power of two of at least 8. */
void *crn_allocate_aligned(size_t alignment, size_t bytes, const uintptr_t *frame);

/* As jemalloc's mallocx, rallocx, xallocx and dallocx with these flags. */
void *crn_allocate_flagged(size_t bytes, int flags, const uintptr_t *frame);
void *crn_reallocate_flagged(void *block, size_t bytes, int flags, const uintptr_t *frame);
size_t crn_resize_flagged(void *block, size_t bytes, size_t extra, int flags,
                          const uintptr_t *frame);
void crn_release_flagged(void *block, int flags, const uintptr_t *frame);

/* Records a block that jemalloc's operator new handed out past us, unless it is on record. */
void crn_block_adopt(void *block, size_t bytes, const uintptr_t *frame);

/* As free. */
void crn_release(void *block);

/*
 * For realloc, in a place that has been found (careful.h): allocates and records, and leaves what
 * is there as it is (heap/scrub.h); frees.  Of MALLOCX_*, freeing takes only which cache of the
 * thread's.
 */
void *crn_block_make(struct crn_thread *self, size_t bytes, int flags, const uintptr_t *frame);
void crn_block_free(struct crn_thread *self, void *block, int flags);

/*
 * Whom a block belongs to that a thread makes or resizes now (coro/scope.h), before it is on
 * record. A forked child notes the first of them.
 */
uint32_t crn_block_owner(struct crn_thread *self, void *block);

#endif
