/*
 * Stopping threads.  See stop.h.
 *
 * One round at a time.  `round` is odd while threads shall stand still; a handler that finds it
 * even was woken for a round that is over, and goes on at once.
 */
#include "snap/stop.h"
#include "base/sys.h"
#include "base/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static _Atomic uint32_t round_now;
static _Atomic uint32_t claimed; /* rows of stopped[] given to a handler, this round */
static _Atomic uint32_t arrived; /* rows that are filled */
static _Atomic uint32_t inside;  /* handlers that have not returned yet */
static struct crn_stopped *stopped;

bool crn_stop_is_ours(const siginfo_t *info)
{
    return info->si_code == SI_TKILL && info->si_pid == crn_sys_getpid();
}

void crn_stop_handler(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)info;
    uint32_t now = atomic_load_explicit(&round_now, memory_order_acquire);
    if ((now & 1) == 0)
        return;
    int saved_errno = errno;
    inside++;
    uint32_t row = claimed++;
    if (row < CRN_STOPPED_MAX) {
        stopped[row] = (struct crn_stopped){crn_sys_gettid(), context};
        arrived++;
        crn_futex_wake_all(&arrived);
        while (atomic_load_explicit(&round_now, memory_order_acquire) == now)
            crn_futex_wait(&round_now, now, UINT64_MAX);
    }
    inside--;
    errno = saved_errno;
}

struct linux_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/* Whether the caller is the only thread there is: then nobody can make another. */
static bool is_single(void)
{
    enum { LINKS_OF_ONE = 3 }; /* a directory's own two, and one for each thread */
    struct stat status;
    return crn_syscall2(SYS_stat, "/proc/self/task", &status) == 0 &&
           status.st_nlink == LINKS_OF_ONE;
}

/* Ids of the threads of this process; answers how many, at most `room`. */
static uint32_t threads_list(int *tids, uint32_t room)
{
    char buffer[4096] __attribute__((aligned(8)));
    uint32_t count = 0;
    long bytes;
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, "/proc/self/task",
                               O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    while ((bytes = crn_syscall3(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct linux_dirent *entry = (const void *)(buffer + at);
            at += entry->bytes;
            int tid = atoi(entry->name);
            if (tid > 0 && count < room)
                tids[count++] = tid;
        }
    }
    crn_syscall1(SYS_close, fd);
    return count;
}

static bool is_listed(const int *tids, uint32_t count, int tid)
{
    for (uint32_t i = 0; i < count; i++)
        if (tids[i] == tid || tids[i] == -tid)
            return true;
    return false;
}

static uint32_t rows_used(void)
{
    return claimed < CRN_STOPPED_MAX ? claimed : CRN_STOPPED_MAX;
}

static bool is_stopped(int tid)
{
    for (uint32_t i = 0, count = rows_used(); i < count; i++)
        if (stopped[i].tid == tid)
            return true;
    return false;
}

/*
 * A thread that a debugger stopped, or that is dead but not reaped, cannot run a handler, and its
 * state says so: do not wait for the latter ('Z', 'X').  Nor for threads that the kernel made to
 * work for io_uring: they have no code and no stack of the program's.
 */
static bool is_nobody(int tid)
{
    char path[64], text[512];
    char digits[12];
    unsigned at = sizeof digits;
    digits[--at] = 0;
    for (int rest = tid; rest > 0; rest /= 10)
        digits[--at] = (char)('0' + rest % 10);
    strcpy(path, "/proc/self/task/");
    strcat(path, digits + at);
    strcat(path, "/stat");
    int fd = crn_sys_open_read(path);
    if (fd < 0)
        return true;
    long count = crn_sys_read_all(fd, text, sizeof text - 1);
    crn_syscall1(SYS_close, fd);
    if (count <= 0)
        return true;
    text[count] = 0;
    const char *name_end = strrchr(text, ')');
    if (name_end == NULL)
        return false;
    const char *flags = name_end + 2; /* behind state, parent and so on: the seventh (proc(5)) */
    for (unsigned fields = 0; fields < 6 && flags != NULL; fields++)
        if ((flags = strchr(flags, ' ')) != NULL)
            flags++;
    const unsigned long io_worker = 0x10; /* PF_IO_WORKER */
    return name_end[2] == 'Z' || name_end[2] == 'X' ||
           (flags != NULL && (strtoul(flags, NULL, 10) & io_worker) != 0);
}

void crn_threads_stop(struct crn_stopped_list *list)
{
    memset(list, 0, sizeof *list);
    if (is_single())
        return;
    int self = crn_sys_gettid(), pid = crn_sys_getpid();
    size_t tids_bytes = CRN_STOPPED_MAX * sizeof(int);
    if (stopped == NULL)
        stopped = crn_vm_map(CRN_STOPPED_MAX * sizeof *stopped);
    int *listed = crn_vm_map(2 * tids_bytes);
    if (stopped == NULL || listed == NULL) {
        list->unseen = 1;
        return;
    }
    int *signalled = listed + CRN_STOPPED_MAX; /* negative: nobody, not waited for */
    uint32_t signalled_count = 0, nobodies = 0;
    while (inside != 0) /* the last round's handlers have been woken and are leaving */
        crn_syscall0(SYS_sched_yield);
    memset(stopped, 0, rows_used() * sizeof *stopped);
    claimed = arrived = 0;
    round_now++;
    uint64_t deadline = crn_now_ns() + (uint64_t)CRN_STOP_LIMIT_MS * 1000000;
    for (bool is_stable = false; !is_stable;) {
        is_stable = true;
        uint32_t count = threads_list(listed, CRN_STOPPED_MAX);
        for (uint32_t i = 0; i < count; i++) {
            if (listed[i] == self || is_listed(signalled, signalled_count, listed[i]))
                continue;
            if (crn_syscall3(SYS_tgkill, pid, listed[i], CRN_STOP_SIGNAL) == 0) {
                signalled[signalled_count++] = listed[i];
                is_stable = false;
            }
        }
        uint32_t seen;
        while ((seen = arrived) < signalled_count - nobodies && crn_now_ns() < deadline) {
            crn_futex_wait(&arrived, seen, 5000000);
            if (arrived != seen)
                continue;
            for (uint32_t i = 0; i < signalled_count; i++) {
                if (signalled[i] > 0 && !is_stopped(signalled[i]) && is_nobody(signalled[i])) {
                    signalled[i] = -signalled[i];
                    nobodies++;
                }
            }
        }
        is_stable = is_stable || crn_now_ns() >= deadline;
    }
    for (uint32_t i = 0; i < signalled_count; i++) {
        if (signalled[i] < 0 || is_stopped(signalled[i]) || is_nobody(signalled[i]))
            continue;
        if (list->unseen < CRN_COUNT_OF(list->unseen_tids))
            list->unseen_tids[list->unseen] = signalled[i];
        list->unseen++;
    }
    crn_vm_unmap(listed, 2 * tids_bytes);
    list->threads = stopped;
    list->count = rows_used();
}

void crn_threads_resume(void)
{
    if ((round_now & 1) == 0)
        return; /* nobody was stopped */
    round_now++;
    crn_futex_wake_all(&round_now);
}

void crn_stop_after_fork(void)
{
    inside = 0;
    round_now = (round_now + 1) & ~1u;
}
