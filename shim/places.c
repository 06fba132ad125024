/*
 * Calls by which a program changes who or where it is.
 *
 * Before such a call we take hold of what the end needs and may no longer get (base/held.h); the
 * call itself goes on as ever.  What we hold then stays ours: to the program its numbers are free
 * ones, so loops that close all descriptors pass over them, and whoever wants one of the numbers
 * gets it.
 */
#include "shim/places.h"
#include "shim/aio.h"
#include "shim/sandbox.h"
#include "shim/state.h"
#include "shim/triggers.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"
#include "live/live.h"
#include "record/mailbox.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436 /* Linux 5.9; the same number on all architectures */
#endif
enum { CLOSE_RANGE_CLOEXEC_ = 4 };

/* What the program is about to leave. */
enum leaving {
    LEAVES_USER = 1,    /* files of /proc/self may be another user's from now on */
    LEAVES_ROOT = 2,    /* /proc may be out of sight */
    LEAVES_FILES = 3,   /* no file may be opened */
    LEAVES_NOTHING = 4, /* another part of the shim wants to know */
};

static bool is_watched(void)
{
    return crn_shim.phase == CRN_SHIM_ON && crn_shim.options.detect_leaks &&
           !crn_shim.process.is_silenced && crn_sys_getpid() == crn_shim.process.pid;
}

/* A check from outside, which is under way, would still be what the program was. */
static void leave(enum leaving what)
{
    if (!is_watched())
        return;
    crn_held_take(what == LEAVES_ROOT);
    if (what != LEAVES_FILES) {
        crn_triggers_leave();
        crn_live_leave(false);
    }
}

/* The call has been made. */
static void arrive(enum leaving what)
{
    if (what != LEAVES_FILES && is_watched())
        crn_triggers_return();
}

/* The next definition of a function, found when it is called first. */
#define NEXT(name)                 \
    static __typeof__(name) *real; \
    if (real == NULL)              \
    real = (__typeof__(name) *)crn_shim_next(#name)

/* Each: its type, name, parameters, arguments, and what is left by it. */
#define LEAVING_CALLS(X)                                                                    \
    X(setuid, (uid_t id), (id), LEAVES_USER)                                                \
    X(setgid, (gid_t id), (id), LEAVES_USER)                                                \
    X(seteuid, (uid_t id), (id), LEAVES_USER)                                               \
    X(setegid, (gid_t id), (id), LEAVES_USER)                                               \
    X(setreuid, (uid_t real_id, uid_t id), (real_id, id), LEAVES_USER)                      \
    X(setregid, (gid_t real_id, gid_t id), (real_id, id), LEAVES_USER)                      \
    X(setresuid, (uid_t real_id, uid_t id, uid_t saved), (real_id, id, saved), LEAVES_USER) \
    X(setresgid, (gid_t real_id, gid_t id, gid_t saved), (real_id, id, saved), LEAVES_USER) \
    X(setfsuid, (uid_t id), (id), LEAVES_USER)                                              \
    X(setfsgid, (gid_t id), (id), LEAVES_USER)                                              \
    X(chroot, (const char *path), (path), LEAVES_ROOT)                                      \
    X(unshare, (int flags), (flags), LEAVES_ROOT)                                           \
    X(setns, (int fd, int kind), (fd, kind), LEAVES_ROOT)                                   \
    X(umount, (const char *path), (path), LEAVES_ROOT)                                      \
    X(umount2, (const char *path, int flags), (path, flags), LEAVES_ROOT)                   \
    X(mount,                                                                                \
      (const char *source, const char *path, const char *type, unsigned long flags,         \
       const void *data),                                                                   \
      (source, path, type, flags, data), LEAVES_ROOT)

#define LEAVING_DEFINE(name, parameters, arguments, what) \
    int name parameters;                                  \
    CRN_EXPORT CRN_REALIGNED int name parameters          \
    {                                                     \
        NEXT(name);                                       \
        leave(what);                                      \
        int result = real arguments;                      \
        int error = errno;                                \
        arrive(what);                                     \
        errno = error;                                    \
        return result;                                    \
    }
LEAVING_CALLS(LEAVING_DEFINE)

/* What of /proc/self/statm counts for the limit, in bytes; see proc(5). */
static rlim_t memory_used(int which)
{
    enum { FIELD_OF_DATA = 5 };
    char text[256];
    int fd = crn_proc_open("self/statm");
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, sizeof text - 1);
    crn_proc_close(fd);
    text[count > 0 ? count : 0] = 0;
    const char *field = text;
    for (unsigned i = 0; which == RLIMIT_DATA && i < FIELD_OF_DATA && field != NULL; i++) {
        field = strchr(field, ' ');
        field = field != NULL ? field + 1 : NULL;
    }
    return field != NULL ? (rlim_t)strtoull(field, NULL, 10) * CRN_PAGE_BYTES : 0;
}

/*
 * A limit below what is in use: the program will get nothing more, and neither shall we.  A higher
 * one it may use up, as without us; then there is no pool.
 */
static void limit_note(int which, const struct rlimit *limit)
{
    enum { FEW = 64 };
    if (limit == NULL || !is_watched())
        return;
    if (which == RLIMIT_NOFILE && limit->rlim_cur < FEW)
        leave(LEAVES_FILES);
    if ((which == RLIMIT_AS || which == RLIMIT_DATA) && limit->rlim_cur < memory_used(which)) {
        crn_vm_pool_take();
        crn_mailbox_prepare();
    }
}

CRN_EXPORT CRN_REALIGNED int setrlimit(__rlimit_resource_t which, const struct rlimit *limit)
{
    NEXT(setrlimit);
    limit_note((int)which, limit);
    return real(which, limit);
}

CRN_EXPORT int setrlimit64(__rlimit_resource_t which, const struct rlimit64 *limit)
    __attribute__((alias("setrlimit")));

CRN_EXPORT CRN_REALIGNED int prlimit(pid_t pid, enum __rlimit_resource which,
                                     const struct rlimit *limit, struct rlimit *old)
{
    NEXT(prlimit);
    limit_note((int)which, limit);
    return real(pid, which, limit, old);
}

CRN_EXPORT int prlimit64(pid_t pid, enum __rlimit_resource which, const struct rlimit64 *limit,
                         struct rlimit64 *old) __attribute__((alias("prlimit")));

static bool prctl_leaves_user(int option, unsigned long value)
{
    return option == PR_SET_DUMPABLE && value == 0;
}

static long libc_result(long result)
{
    if (!crn_sys_failed(result))
        return result;
    errno = (int)-result;
    return -1;
}

/* The program goes into a sandbox; answers as the call does. */
static long sandbox_prctl(const unsigned long values[4])
{
    struct crn_sandbox sandbox = {.is_strict = values[0] == SECCOMP_MODE_STRICT,
                                  .filter = {CRN_FILTER_PRCTL, (const void *)values[1]}};
    bool is_prepared = is_watched();
    if (is_prepared)
        crn_sandbox_prepare(&sandbox);
    long result = crn_syscall_always(SYS_prctl, PR_SET_SECCOMP, (long)values[0], (long)values[1],
                                     (long)values[2], (long)values[3], 0);
    if (is_prepared && result != 0)
        crn_sandbox_failed(&sandbox);
    return libc_result(result);
}

static long sandbox_seccomp(const long *values)
{
    struct crn_sandbox sandbox = {.is_strict = values[0] == SECCOMP_SET_MODE_STRICT,
                                  .filter = {CRN_FILTER_SECCOMP, (const void *)values[2]}};
    bool is_entered = values[0] == SECCOMP_SET_MODE_STRICT || values[0] == SECCOMP_SET_MODE_FILTER;
    bool is_prepared = is_entered && is_watched();
    if (is_prepared)
        crn_sandbox_prepare(&sandbox);
    long result = crn_syscall_always(SYS_seccomp, values[0], values[1], values[2], 0, 0, 0);
    if (is_prepared && crn_sys_failed(result))
        crn_sandbox_failed(&sandbox);
    return libc_result(result);
}

CRN_EXPORT CRN_REALIGNED int prctl(int option, ...)
{
    unsigned long values[4];
    va_list arguments;
    NEXT(prctl);
    va_start(arguments, option);
    for (unsigned i = 0; i < CRN_COUNT_OF(values); i++)
        values[i] = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (option == PR_SET_SECCOMP)
        return (int)sandbox_prctl(values);
    if (prctl_leaves_user(option, values[0]))
        leave(LEAVES_USER);
    int result = real(option, values[0], values[1], values[2], values[3]);
    int error = errno;
    if (prctl_leaves_user(option, values[0]))
        arrive(LEAVES_USER);
    errno = error;
    return result;
}

CRN_EXPORT CRN_REALIGNED int close(int fd)
{
    NEXT(close);
    if (CRN_UNLIKELY(crn_held_is_ours(fd))) {
        errno = EBADF;
        return -1;
    }
    return real(fd);
}

CRN_EXPORT CRN_REALIGNED int dup2(int fd, int to)
{
    NEXT(dup2);
    if (CRN_UNLIKELY(crn_held_is_ours(to)))
        crn_held_make_way(to);
    return real(fd, to);
}

CRN_EXPORT CRN_REALIGNED int dup3(int fd, int to, int flags)
{
    NEXT(dup3);
    if (CRN_UNLIKELY(crn_held_is_ours(to)))
        crn_held_make_way(to);
    return real(fd, to, flags);
}

/* In pieces around ours. */
static long range_close(unsigned from, unsigned to, int flags)
{
    int ours;
    while ((flags & CLOSE_RANGE_CLOEXEC_) == 0 && (ours = crn_held_first(from, to)) >= 0) {
        if ((unsigned)ours > from) {
            long result =
                crn_syscall_always(SYS_close_range, from, (unsigned)ours - 1, flags, 0, 0, 0);
            if (result < 0)
                return result;
        }
        if ((unsigned)ours == to)
            return 0;
        from = (unsigned)ours + 1;
    }
    return crn_syscall_always(SYS_close_range, from, to, flags, 0, 0, 0);
}

CRN_EXPORT CRN_REALIGNED int close_range(unsigned from, unsigned to, int flags)
{
    return (int)libc_result(range_close(from, to, flags));
}

/* libc's own way, for kernels before Linux 5.9, reads /proc/self/fd; ours then goes with the rest.
 */
CRN_EXPORT CRN_REALIGNED void closefrom(int from)
{
    NEXT(closefrom);
    if (crn_held_first(from < 0 ? 0 : (unsigned)from, ~0u) < 0 ||
        range_close(from < 0 ? 0 : (unsigned)from, ~0u, 0) != 0)
        real(from);
}

/* The calls of syscall(2) that concern us; the rest go on without a look. */
__attribute__((visibility("hidden"))) const unsigned char crn_syscall_marks[512] = {
    [SYS_setuid] = LEAVES_USER,       [SYS_setgid] = LEAVES_USER,
    [SYS_setreuid] = LEAVES_USER,     [SYS_setregid] = LEAVES_USER,
    [SYS_setresuid] = LEAVES_USER,    [SYS_setresgid] = LEAVES_USER,
    [SYS_setfsuid] = LEAVES_USER,     [SYS_setfsgid] = LEAVES_USER,
    [SYS_chroot] = LEAVES_ROOT,       [SYS_pivot_root] = LEAVES_ROOT,
    [SYS_unshare] = LEAVES_ROOT,      [SYS_setns] = LEAVES_ROOT,
    [SYS_umount2] = LEAVES_ROOT,      [SYS_mount] = LEAVES_ROOT,
    [SYS_setrlimit] = LEAVES_FILES,   [SYS_prlimit64] = LEAVES_FILES,
    [SYS_prctl] = LEAVES_FILES,       [SYS_seccomp] = LEAVES_FILES,
    [SYS_close] = LEAVES_FILES,       [SYS_close_range] = LEAVES_FILES,
    [SYS_io_setup] = LEAVES_NOTHING,  [SYS_io_destroy] = LEAVES_NOTHING,
    [SYS_io_submit] = LEAVES_NOTHING,
};

/* Makes a call by which something is left; answers as syscall(2) does. */
static long leaving_call(const long *words, enum leaving what)
{
    leave(what);
    long result = libc_result(
        crn_syscall_always(words[0], words[1], words[2], words[3], words[4], words[5], words[6]));
    int error = errno;
    arrive(what);
    errno = error;
    return result;
}

bool crn_note_syscall(struct crn_syscall_arguments *call)
{
    const long *words = call->words;
    switch (words[0]) {
    case SYS_setrlimit:
        limit_note((int)words[1], (const struct rlimit *)words[2]);
        return false;
    case SYS_prlimit64:
        limit_note((int)words[2], (const struct rlimit *)words[3]);
        return false;
    case SYS_prctl:
        if (words[1] == PR_SET_SECCOMP)
            call->words[0] = sandbox_prctl((const unsigned long *)words + 2);
        else if (prctl_leaves_user((int)words[1], (unsigned long)words[2]))
            call->words[0] = leaving_call(words, LEAVES_USER);
        else
            return false;
        return true;
    case SYS_seccomp:
        call->words[0] = sandbox_seccomp(words + 1);
        return true;
    case SYS_close:
        if (!crn_held_is_ours((int)words[1]))
            return false;
        call->words[0] = libc_result(-EBADF);
        return true;
    case SYS_close_range:
        call->words[0] =
            libc_result(range_close((unsigned)words[1], (unsigned)words[2], (int)words[3]));
        return true;
    case SYS_io_setup:
    case SYS_io_destroy:
    case SYS_io_submit:
        call->words[0] = libc_result(crn_aio_call(words));
        return true;
    default:
        call->words[0] = leaving_call(words, crn_syscall_marks[words[0]]);
        return true;
    }
}
