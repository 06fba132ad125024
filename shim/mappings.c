/*
 * mmap and munmap.
 *
 * jemalloc's calls are served from the region, so that all its memory lies in one range; everybody
 * else's go to the kernel as ever.  munmap also tells of coroutine stacks that go away.
 */
#include "shim/state.h"
#include "base/sys.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/types.h>

static void *result_of(long result)
{
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return MAP_FAILED;
    }
    return (void *)result;
}

/* Coroutines whose stacks lay there are no more. */
static void stacks_gone(void *address, size_t bytes)
{
    struct crn_thread *self = crn_coros.is_used ? crn_shim_thread() : NULL;
    if (self != NULL && !self->is_busy)
        crn_coro_note_memory_gone((uintptr_t)address, (uintptr_t)address + bytes, self->tid);
}

/* PHP and Ruby map the stacks of their fibers so; many never allocate on them. */
static void stacks_mapped(void *address, size_t bytes)
{
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_ON ? crn_shim_thread() : NULL;
    uintptr_t start = (uintptr_t)address;
    if (self != NULL && !self->is_busy)
        crn_coro_note_mapped(start, crn_align_up(start + bytes, CRN_PAGE_BYTES), self->tid);
}

static void *jemalloc_map(size_t bytes, int protection)
{
    if (crn_shim.phase == CRN_SHIM_COLD)
        crn_shim_start_early();
    void *start = crn_region_map(&crn_heap.region, bytes, protection != PROT_NONE);
    if (start != NULL && !crn_index_cover(&crn_heap.index, (uintptr_t)start + bytes))
        crn_shim_stand_down("there is no memory for its page map");
    return start;
}

CRN_EXPORT void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    if (crn_is_jemalloc(__builtin_return_address(0)) && (flags & (MAP_FIXED | MAP_ANONYMOUS)) ==
                                                            MAP_ANONYMOUS) {
        void *start = jemalloc_map(bytes, protection);
        if (start != NULL)
            return start;
    }
    void *start = result_of(crn_syscall6(SYS_mmap, address, bytes, protection, flags, fd, offset));
    if ((flags & MAP_FIXED) != 0 && start != MAP_FAILED)
        stacks_gone(start, bytes);
    if (CRN_UNLIKELY((flags & MAP_STACK) != 0) && start != MAP_FAILED)
        stacks_mapped(start, bytes);
    return start;
}

CRN_EXPORT void *mmap64(void *address, size_t bytes, int protection, int flags, int fd,
                        __off64_t offset) __attribute__((alias("mmap")));

CRN_EXPORT int munmap(void *address, size_t bytes)
{
    if (crn_is_jemalloc(__builtin_return_address(0)) &&
        (uintptr_t)address - crn_heap.region.base < crn_heap.region.end - crn_heap.region.base) {
        crn_region_unmap(&crn_heap.region, address, bytes);
        return 0;
    }
    stacks_gone(address, bytes);
    long result = crn_syscall2(SYS_munmap, address, bytes);
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    return 0;
}
