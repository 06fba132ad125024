#ifndef CRN_SYS_H
#define CRN_SYS_H
/*
 * System calls without libc: they leave errno alone, cannot be interposed and need no lock, so
 * they are good in signal handlers, before libc is up and while every other thread stands still.
 *
 * Each answers the kernel's raw result: negative errno on failure.
 */
#include "base/base.h"
#include "base/fail.h"

#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "add the system call sequence of this architecture here"
#endif

/*
 * Calls that a seccomp filter would kill the process for, a bit for each number (base/calls.h):
 * they are not made, and answer -EPERM.  Atomic enough: bits are only added, before the filter is
 * there.
 */
enum { CRN_CALLS_MAX = 512 };
extern uint8_t crn_calls_forbidden[CRN_CALLS_MAX / 8];
extern _Atomic bool crn_calls_are_tried; /* there may be a filter */

CRN_INLINE bool crn_call_is_forbidden(long number)
{
    return CRN_UNLIKELY((crn_calls_forbidden[number >> 3] >> (number & 7) & 1) != 0);
}

/* On behalf of the program: whatever a filter makes of it, and no test lets it fail. */
CRN_INLINE long crn_syscall_always(long number, long a, long b, long c, long d, long e, long f)
{
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

CRN_INLINE long crn_syscall(long number, long a, long b, long c, long d, long e, long f)
{
    const long not_permitted = -1; /* -EPERM */
    if (crn_call_is_forbidden(number))
        return not_permitted;
    if (crn_fail_knows(number) && CRN_UNLIKELY(crn_fail.is_on)) {
        long refusal = crn_fail_ask(number);
        if (refusal != 0)
            return refusal;
    }
    return crn_syscall_always(number, a, b, c, d, e, f);
}

#define crn_syscall0(n) crn_syscall(n, 0, 0, 0, 0, 0, 0)
#define crn_syscall1(n, a) crn_syscall(n, (long)(a), 0, 0, 0, 0, 0)
#define crn_syscall2(n, a, b) crn_syscall(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define crn_syscall3(n, a, b, c) crn_syscall(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define crn_syscall4(n, a, b, c, d)                                                               \
    crn_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define crn_syscall6(n, a, b, c, d, e, f)                                                         \
    crn_syscall(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

CRN_INLINE bool crn_sys_failed(long result)
{
    return (unsigned long)result > -4096ul;
}

/* Where the calls are forbidden: what they were when that began; another thread's id is made up. */
int crn_pid_kept(void);
int crn_tid_kept(void);
void crn_tid_keep(void);

CRN_INLINE int crn_sys_getpid(void)
{
    return crn_call_is_forbidden(SYS_getpid)
               ? crn_pid_kept()
               : (int)crn_syscall_always(SYS_getpid, 0, 0, 0, 0, 0, 0);
}

CRN_INLINE int crn_sys_gettid(void)
{
    return crn_call_is_forbidden(SYS_gettid)
               ? crn_tid_kept()
               : (int)crn_syscall_always(SYS_gettid, 0, 0, 0, 0, 0, 0);
}

/* Opens for reading with O_CLOEXEC; answers the descriptor or a negative errno. */
int crn_sys_open_read(const char *path);

/* Reads up to `bytes`, over interruptions and short reads; answers the count or a negative errno. */
long crn_sys_read_all(int fd, void *buffer, size_t bytes);

/*
 * Writes all `bytes`; answers 0 or a negative errno.  What a write may signal (SIGPIPE, SIGXFSZ,
 * SIGTTOU) neither reaches the program nor stays pending: it did not write.
 */
long crn_sys_write_all(int fd, const void *buffer, size_t bytes);

/*
 * Copies memory of our own that may not be mapped: answers false instead of faulting, and where
 * crn_memory_is_there, if set, says no: some pages, once touched, are waited for.
 */
bool crn_memory_read(void *target, uintptr_t source, size_t bytes);
extern bool (*_Atomic crn_memory_is_there)(uintptr_t start, size_t bytes);

/*
 * How crn_memory_read copies without asking the kernel, where its caller is the only thread of the
 * process and catches the faults; NULL: by process_vm_readv(2), which also makes a forked child
 * copy each page it reads.
 */
extern bool (*crn_memory_read_alone)(void *target, uintptr_t source, size_t bytes);

/* Where a sandbox forbids process_vm_readv(2); answers the count or a negative errno. */
extern long (*_Atomic crn_memory_read_otherwise)(void *target, uintptr_t source, size_t bytes);

/* Likewise writes: answers false where the memory cannot be written. */
bool crn_memory_write(uintptr_t target, const void *source, size_t bytes);

/* CLOCK_MONOTONIC in ns. */
uint64_t crn_now_ns(void);

/* CLOCK_REALTIME in ns since 1970. */
uint64_t crn_unix_now_ns(void);

/* Sleeps while *word == value, at most timeout_ns (UINT64_MAX: for ever); may wake early. */
void crn_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns);
void crn_futex_wake_all(_Atomic uint32_t *word);

/*
 * Writes one line "coroner: …" to the descriptor that crn_log_where finds (-1: nowhere), or to
 * standard error.  Needs about 1 KiB of stack; safe in signal handlers.
 */
void crn_log(const char *format, ...) CRN_PRINTF(1, 2);
extern int (*crn_log_where)(void);

#endif
