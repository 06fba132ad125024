/*
 * Aligned allocation: memalign and its relatives, as glibc has them.
 */
#include "shim/malloc.h"
#include "base/sys.h"

#include <errno.h>
#include <jemalloc/jemalloc.h>
#include <sys/mman.h>

/*
 * Whether the kernel would promise as much memory as glibc asks for, which takes a block that is
 * larger by the alignment.  jemalloc asks for no promise, and would find room for an alignment of
 * 2^44.
 */
static bool is_promised(size_t alignment, size_t bytes)
{
    const size_t always = (size_t)1 << 30;
    if (alignment < always)
        return true;
    size_t asked = crn_align_up(alignment + bytes, CRN_PAGE_BYTES);
    long start = crn_syscall_always(SYS_mmap, 0, (long)asked, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (crn_sys_failed(start))
        return false;
    crn_syscall2(SYS_munmap, start, asked);
    return true;
}

void *crn_allocate_aligned(size_t alignment, size_t bytes, const uintptr_t *frame)
{
    void *block = NULL;
    if (alignment <= (size_t)1 << 46 && bytes <= PTRDIFF_MAX - alignment &&
        is_promised(alignment, bytes))
        block = crn_allocate_flagged(bytes, MALLOCX_ALIGN(alignment), frame);
    if (block == NULL)
        errno = ENOMEM;
    return block;
}

/* glibc rounds an alignment up to a power of two and refuses those above half the address space. */
static bool alignment_round(size_t *alignment)
{
    if (*alignment > SIZE_MAX / 2 + 1) {
        errno = EINVAL;
        return false;
    }
    size_t rounded_up = 16;
    while (rounded_up < *alignment)
        rounded_up *= 2;
    *alignment = rounded_up;
    return true;
}

CRN_EXPORT void *memalign(size_t alignment, size_t bytes);
CRN_EXPORT void *memalign(size_t alignment, size_t bytes)
{
    if (!alignment_round(&alignment))
        return NULL;
    return crn_allocate_aligned(alignment, bytes, __builtin_frame_address(0));
}

CRN_EXPORT void *aligned_alloc(size_t alignment, size_t bytes)
{
    if (!alignment_round(&alignment))
        return NULL;
    return crn_allocate_aligned(alignment, bytes, __builtin_frame_address(0));
}

CRN_EXPORT int posix_memalign(void **block, size_t alignment, size_t bytes)
{
    int saved_errno = errno;
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0)
        return EINVAL;
    void *result = crn_allocate_aligned(alignment, bytes, __builtin_frame_address(0));
    errno = saved_errno;
    if (result == NULL)
        return ENOMEM;
    *block = result;
    return 0;
}

CRN_EXPORT void *valloc(size_t bytes);
CRN_EXPORT void *valloc(size_t bytes)
{
    return crn_allocate_aligned(CRN_PAGE_BYTES, bytes, __builtin_frame_address(0));
}

CRN_EXPORT void *pvalloc(size_t bytes);
CRN_EXPORT void *pvalloc(size_t bytes)
{
    if (bytes > PTRDIFF_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    return crn_allocate_aligned(CRN_PAGE_BYTES, crn_align_up(bytes, CRN_PAGE_BYTES),
                                __builtin_frame_address(0));
}
