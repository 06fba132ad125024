/*
 * mmap, munmap, mremap, mprotect and madvise.
 *
 * jemalloc's calls are served from the region, so that all its memory lies in one range; everybody
 * else's go to the kernel as ever.  munmap also tells of coroutine stacks that go away.
 */
#include "shim/calm.h"
#include "shim/state.h"
#include "base/sys.h"
#include "snap/beforehand.h"

#include <errno.h>
#include <stdarg.h>
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
    bool is_of_interest = crn_coros.is_used || crn_coros.has_mapped;
    if (!is_of_interest)
        return;
    struct crn_calm calm = crn_calm_begin();
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy) {
        crn_busy_begin(self);
        crn_coro_note_memory_gone((uintptr_t)address, (uintptr_t)address + bytes, self->tid);
        crn_busy_end(self);
    }
    crn_calm_end(&calm);
}

/*
 * Coroutines may run on it one day.  PHP and Ruby say so (MAP_STACK), and many of their fibers
 * never allocate; of the others we keep the bounds, since the kernel joins neighbours.
 */
static void memory_mapped(void *address, size_t bytes, int protection, int flags)
{
    enum { STACK_MOST = 256 << 20 };
    const int wanted = MAP_PRIVATE | MAP_ANONYMOUS;
    uintptr_t start = (uintptr_t)address;
    if ((flags & wanted) != wanted || bytes > STACK_MOST ||
        ((protection & PROT_WRITE) == 0 && (flags & MAP_STACK) == 0) ||
        crn_shim.phase != CRN_SHIM_ON)
        return;
    struct crn_calm calm = crn_calm_begin();
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy) {
        crn_busy_begin(self);
        crn_coro_note_mapped(start, crn_align_up(start + bytes, CRN_PAGE_BYTES),
                             (flags & MAP_STACK) != 0 ? CRN_MAPPED_FOR_STACK : CRN_MAPPED_PLAIN,
                             self->tid);
        crn_busy_end(self);
    }
    crn_calm_end(&calm);
}

/*
 * Every page of the region has a word in our tables, and during a check one more that is written: a
 * terabyte of which nothing is used would take 4 GiB.
 */
static const size_t LARGEST_INSIDE_BYTES = (size_t)64 << 30;

/*
 * Memory for jemalloc: of the region, or where that cannot serve it, wherever the kernel has some.
 * Without a page map for it there is none: what that takes of a limit, jemalloc could not have
 * either.
 */
static long jemalloc_map(void *address, size_t bytes, int protection, int flags)
{
    if (crn_shim.phase == CRN_SHIM_COLD)
        crn_shim_start_early();
    void *start = bytes <= LARGEST_INSIDE_BYTES
                      ? crn_region_map(&crn_heap.region, bytes, protection != PROT_NONE)
                      : NULL;
    if (start != NULL && crn_index_cover(&crn_heap.index, (uintptr_t)start + bytes))
        return (long)start;
    if (start != NULL) {
        crn_region_unmap(&crn_heap.region, start, bytes);
        return -ENOMEM;
    }
    uintptr_t far =
        crn_shim.phase != CRN_SHIM_OFF ? crn_vm_map_far(bytes, protection != PROT_NONE) : 0;
    if (far != 0)
        return (long)far;
    long result =
        crn_syscall_always(SYS_mmap, (long)address, (long)bytes, protection, flags, -1, 0);
    if (!crn_sys_failed(result) && crn_shim.phase != CRN_SHIM_OFF)
        crn_extents_add(&crn_heap.extents, (uintptr_t)result, bytes, crn_sys_gettid());
    return result;
}

/* What the program maps where we keep our memory: a wish we do not pass on, a demand we remember.
 */
static void *wish_of(void *address, size_t bytes, int flags)
{
    bool is_wish = (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == 0;
    return is_wish && crn_vm_touches_window((uintptr_t)address, bytes) ? NULL : address;
}

CRN_EXPORT CRN_REALIGNED void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t offset)
{
    bool is_jemalloc = crn_is_jemalloc(__builtin_return_address(0));
    if (is_jemalloc && (flags & (MAP_FIXED | MAP_ANONYMOUS)) == MAP_ANONYMOUS)
        return result_of(jemalloc_map(address, bytes, protection, flags));
    void *start = result_of(crn_syscall_always(SYS_mmap, (long)wish_of(address, bytes, flags),
                                               (long)bytes, protection, flags, fd, offset));
    if (start != MAP_FAILED)
        crn_vm_note_mapping();
    if (!is_jemalloc && start != MAP_FAILED && crn_vm_touches_window((uintptr_t)start, bytes))
        crn_vm_note_foreign((uintptr_t)start, bytes);
    if ((flags & MAP_FIXED) != 0 && start != MAP_FAILED)
        stacks_gone(start, bytes);
    if (start != MAP_FAILED)
        memory_mapped(start, bytes, protection, flags);
    return start;
}

CRN_EXPORT CRN_REALIGNED void *mmap64(void *address, size_t bytes, int protection, int flags, int fd,
                        __off64_t offset) __attribute__((alias("mmap")));

CRN_EXPORT CRN_REALIGNED int munmap(void *address, size_t bytes)
{
    bool is_jemalloc = crn_is_jemalloc(__builtin_return_address(0));
    uintptr_t start = (uintptr_t)address;
    if (is_jemalloc && start - crn_heap.region.base < crn_heap.region.end - crn_heap.region.base) {
        crn_region_unmap(&crn_heap.region, address, bytes);
        return 0;
    }
    stacks_gone(address, bytes);
    long result = is_jemalloc
                      ? crn_syscall2(SYS_munmap, address, bytes)
                      : crn_syscall_always(SYS_munmap, (long)address, (long)bytes, 0, 0, 0, 0);
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    if (is_jemalloc)
        crn_extents_remove(&crn_heap.extents, start, bytes, crn_sys_gettid());
    else if (crn_vm_touches_window(start, bytes))
        crn_vm_note_foreign_gone(start, bytes);
    return 0;
}

/* A stack cannot be moved: what is moved away is none any more, nor what is moved over. */
CRN_EXPORT CRN_REALIGNED void *mremap(void *old, size_t old_bytes, size_t bytes, int flags, ...)
{
    void *wanted = NULL;
    if ((flags & MREMAP_FIXED) != 0) {
        va_list arguments;
        va_start(arguments, flags);
        wanted = va_arg(arguments, void *);
        va_end(arguments);
    }
    void *start = result_of(crn_syscall_always(SYS_mremap, (long)old, (long)old_bytes, (long)bytes,
                                               flags, (long)wanted, 0));
    if (start == MAP_FAILED)
        return start;
    size_t kept = start == old ? crn_align_up(bytes, CRN_PAGE_BYTES) : 0;
    if (kept < old_bytes)
        stacks_gone((char *)old + kept, old_bytes - kept);
    if ((flags & MREMAP_FIXED) != 0)
        stacks_gone(start, bytes);
    return start;
}

/* Guard pages split what looked like one stack. */
CRN_EXPORT CRN_REALIGNED int mprotect(void *address, size_t bytes, int protection)
{
    long result = crn_syscall_always(SYS_mprotect, (long)address, (long)bytes, protection, 0, 0, 0);
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    crn_vm_note_mapping(); /* it may have cut one in two */
    if (protection != PROT_NONE || !crn_coros.is_used)
        return 0;
    struct crn_calm calm = crn_calm_begin();
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy) {
        uintptr_t start = (uintptr_t)address;
        crn_busy_begin(self);
        crn_coro_note_guard(self, start, crn_align_up(start + bytes, CRN_PAGE_BYTES));
        crn_busy_end(self);
    }
    crn_calm_end(&calm);
    return 0;
}

/*
 * jemalloc gives pages back, and lives with a refusal; a sandbox that glibc's malloc would be happy
 * in may kill for it.
 */
CRN_EXPORT CRN_REALIGNED int madvise(void *address, size_t bytes, int advice)
{
    long result =
        crn_is_jemalloc(__builtin_return_address(0))
            ? crn_syscall3(SYS_madvise, address, bytes, advice)
            : crn_syscall_always(SYS_madvise, (long)address, (long)bytes, advice, 0, 0, 0);
    if (crn_sys_failed(result)) {
        errno = (int)-result;
        return -1;
    }
    bool is_unforked = advice == MADV_DONTFORK || advice == MADV_WIPEONFORK;
    if (is_unforked || advice == MADV_DOFORK || advice == MADV_KEEPONFORK)
        crn_unforked_note((uintptr_t)address, bytes, is_unforked);
    return 0;
}
