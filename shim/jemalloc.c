/*
 * jemalloc's own interface.
 *
 * Programs that find mallocx and its relatives use them beside malloc, on the same blocks (folly
 * does).  Whatever is allocated or freed that way goes through our records like any other block.
 * sallocx and mallctl stay jemalloc's; blocks that `arena.N.reset` takes away are not noticed.
 */
#include "shim/malloc.h"

#include <jemalloc/jemalloc.h>

CRN_EXPORT void *mallocx(size_t bytes, int flags)
{
    return crn_allocate_flagged(bytes, flags, __builtin_frame_address(0));
}

CRN_EXPORT void *rallocx(void *block, size_t bytes, int flags)
{
    return crn_reallocate_flagged(block, bytes, flags, __builtin_frame_address(0));
}

CRN_EXPORT size_t xallocx(void *block, size_t bytes, size_t extra, int flags)
{
    return crn_resize_flagged(block, bytes, extra, flags, __builtin_frame_address(0));
}

CRN_EXPORT void dallocx(void *block, int flags)
{
    crn_release_flagged(block, flags, __builtin_frame_address(0));
}

/* The size is what was asked for; what the block really has is on record. */
CRN_EXPORT void sdallocx(void *block, size_t bytes, int flags)
{
    (void)bytes;
    crn_release_flagged(block, flags, __builtin_frame_address(0));
}

/* Ours rounds up to 16 as mallocx does here. */
CRN_EXPORT CRN_REALIGNED size_t nallocx(size_t bytes, int flags)
{
    if (crn_shim.phase == CRN_SHIM_COLD)
        crn_shim_start_early();
    return crn_shim.real.je_nallocx(bytes < 16 ? 16 : bytes, flags);
}
