/*
 * System calls without libc, and the one-line log.  See sys.h.
 */
#include "base/sys.h"
#include "base/characters.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <errno.h>
#include <sys/uio.h>
#include <time.h>

int (*crn_log_where)(void);
uint8_t crn_calls_forbidden[CRN_CALLS_MAX / 8];
_Atomic bool crn_calls_are_tried;

static int kept_pid, kept_tid;
static void *kept_thread;

void crn_tid_keep(void)
{
    if (crn_call_is_forbidden(SYS_gettid) || crn_call_is_forbidden(SYS_getpid))
        return;
    kept_pid = crn_sys_getpid();
    kept_tid = crn_sys_gettid();
    kept_thread = __builtin_thread_pointer();
}

int crn_pid_kept(void)
{
    return kept_pid;
}

int crn_tid_kept(void)
{
    enum { NO_TID_FROM = 1 << 22 }; /* PID_MAX_LIMIT, linux/threads.h */
    uintptr_t thread = (uintptr_t)__builtin_thread_pointer();
    return thread == (uintptr_t)kept_thread ? kept_tid
                                            : (int)(NO_TID_FROM | (thread >> 6 & INT32_MAX >> 1));
}

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

/*
 * The signals that a write sends to its own thread: there is no reader, the file may not grow
 * (RLIMIT_FSIZE), or the terminal is not for background processes.
 */
static const uint64_t signals_of_writing =
    UINT64_C(1) << (SIGPIPE - 1) | UINT64_C(1) << (SIGXFSZ - 1) | UINT64_C(1) << (SIGTTOU - 1);

/* Takes back the signals that a failed write left pending, except those that were so before. */
static void signals_take_back(uint64_t pending_before)
{
    const uint64_t ours = signals_of_writing & ~pending_before;
    const struct timespec at_once = {0, 0};
    while (crn_syscall4(SYS_rt_sigtimedwait, &ours, NULL, &at_once, sizeof ours) > 0)
        ;
}

long crn_sys_write_all(int fd, const void *buffer, size_t bytes)
{
    size_t done = 0;
    long result = 0;
    uint64_t mask_before = 0, pending_before = 0;
    crn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &signals_of_writing, &mask_before,
                 sizeof mask_before);
    if ((mask_before & signals_of_writing) != 0)
        crn_syscall2(SYS_rt_sigpending, &pending_before, sizeof pending_before);
    while (done < bytes && result == 0) {
        long count = crn_syscall3(SYS_write, fd, (const char *)buffer + done, bytes - done);
        if (count == -EINTR)
            continue;
        if (count <= 0)
            result = count < 0 ? count : -EIO;
        else
            done += (size_t)count;
    }
    if (result == -EPIPE || result == -EFBIG)
        signals_take_back(pending_before);
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask_before, NULL, sizeof mask_before);
    return result;
}

bool (*_Atomic crn_memory_is_there)(uintptr_t start, size_t bytes);
long (*_Atomic crn_memory_read_otherwise)(void *target, uintptr_t source, size_t bytes);

bool (*crn_memory_read_alone)(void *target, uintptr_t source, size_t bytes);

bool crn_memory_read(void *target, uintptr_t source, size_t bytes)
{
    bool (*is_there)(uintptr_t, size_t) = crn_memory_is_there;
    if (CRN_UNLIKELY(is_there != NULL) && !is_there(source, bytes))
        return false;
    if (crn_memory_read_alone != NULL)
        return crn_memory_read_alone(target, source, bytes);
    struct iovec to = {target, bytes}, from = {(void *)source, bytes};
    long count = crn_syscall6(SYS_process_vm_readv, crn_sys_gettid(), &to, 1, &from, 1, 0);
    if (CRN_UNLIKELY(count == -EPERM || count == -ENOSYS) && crn_memory_read_otherwise != NULL)
        count = crn_memory_read_otherwise(target, source, bytes);
    return count == (long)bytes;
}

bool crn_memory_write(uintptr_t target, const void *source, size_t bytes)
{
    struct iovec to = {(void *)target, bytes}, from = {(void *)(uintptr_t)source, bytes};
    return crn_syscall6(SYS_process_vm_writev, crn_sys_gettid(), &from, 1, &to, 1, 0) ==
           (long)bytes;
}

static uint64_t clock_read(int clock)
{
    struct timespec now = {0, 0};
    if (crn_call_is_forbidden(SYS_clock_gettime))
        clock_gettime(clock, &now); /* the clocks of the vDSO take no call */
    else
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
    struct timespec timeout = {(time_t)(timeout_ns / 1000000000u),
                               (long)(timeout_ns % 1000000000u)};
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
    size_t length = PREFIX;
    if (count > 0)
        length += crn_text_tame(line + PREFIX);
    line[length++] = '\n';
    int fd = crn_log_where != NULL ? crn_log_where() : 2;
    if (fd >= 0)
        crn_sys_write_all(fd, line, length);
    errno = saved_errno;
}
