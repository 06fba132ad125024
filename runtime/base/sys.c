/*
 * System calls without libc, and the one-line log.  See sys.h.
 */
#include "base/sys.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdio.h>
#include <errno.h>
#include <sys/uio.h>
#include <time.h>

int crn_log_fd = 2;

int crn_sys_open_read(const char *path)
{
    return (int)crn_syscall4(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
}

long crn_sys_read_all(int fd, void *buffer, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        long count = crn_syscall3(SYS_read, fd, (char *)buffer + done, bytes - done);
        if (count == -EINTR)
            continue;
        if (count < 0)
            return done > 0 ? (long)done : count;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (long)done;
}

long crn_sys_write_all(int fd, const void *buffer, size_t bytes)
{
    size_t done = 0;
    while (done < bytes) {
        long count = crn_syscall3(SYS_write, fd, (const char *)buffer + done, bytes - done);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            return count < 0 ? count : -EIO;
        done += (size_t)count;
    }
    return 0;
}

bool crn_memory_read(void *target, uintptr_t source, size_t bytes)
{
    struct iovec to = {target, bytes}, from = {(void *)source, bytes};
    return crn_syscall6(SYS_process_vm_readv, crn_sys_gettid(), &to, 1, &from, 1, 0) == (long)bytes;
}

static uint64_t clock_read(int clock)
{
    struct timespec now = {0, 0};
    crn_syscall2(SYS_clock_gettime, clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t crn_now_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t crn_unix_now_ns(void)
{
    return clock_read(CLOCK_REALTIME);
}

void crn_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t timeout_ns)
{
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u), (long)(timeout_ns % 1000000000u)};
    crn_syscall4(SYS_futex, word, FUTEX_WAIT_PRIVATE, value,
                 timeout_ns == UINT64_MAX ? NULL : &timeout);
}

void crn_futex_wake_all(_Atomic uint32_t *word)
{
    crn_syscall3(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX);
}

void crn_log(const char *format, ...)
{
    int saved_errno = errno;
    char line[512] = "coroner: ";
    enum { PREFIX = 9 };
    va_list arguments;
    va_start(arguments, format);
    int count = vsnprintf(line + PREFIX, sizeof line - PREFIX - 1, format, arguments);
    va_end(arguments);
    size_t length = PREFIX + (count < 0 ? 0 : (size_t)count);
    if (length > sizeof line - 2)
        length = sizeof line - 2;
    line[length++] = '\n';
    crn_sys_write_all(crn_log_fd, line, length);
    errno = saved_errno;
}
