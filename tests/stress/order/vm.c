/*
 * Tells ThreadSanitizer what the kernel sees to: memory that one thread gives back is mapped again
 * by another one only afterwards.  TSan does not see system calls that are made without libc.  The
 * linker puts these functions before the runtime's (--wrap).
 */
#include <sanitizer/tsan_interface.h>
#include <stddef.h>

void *__real_crn_vm_map(size_t bytes);
void __real_crn_vm_unmap(void *start, size_t bytes);
void *__wrap_crn_vm_map(size_t bytes);
void __wrap_crn_vm_unmap(void *start, size_t bytes);

static char mapping_lock;

void *__wrap_crn_vm_map(size_t bytes)
{
    void *start = __real_crn_vm_map(bytes);
    __tsan_acquire(&mapping_lock);
    return start;
}

void __wrap_crn_vm_unmap(void *start, size_t bytes)
{
    __tsan_release(&mapping_lock);
    __real_crn_vm_unmap(start, bytes);
}
