/*
 * Tries system calls in a child.  See calls.h.
 */
#include "base/calls.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/wait.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif

enum { SECCOMP_MODE_FILTER_ = 2, SECCOMP_SET_MODE_FILTER_ = 1 };

/* Some room that the kernel may write to; each child has its own. */
static char scratch[4096] __attribute__((aligned(16)));
static const struct rlimit no_core = {1, 1}; /* 1 keeps it from pipes, too: core(5) */
static const uint64_t no_signals;
static const struct timespec at_once;
#define TEXT(text) ((long)(uintptr_t)(text))
#define ROOM ((long)(uintptr_t)scratch)

/*
 * What we call, with arguments that change nothing but in the child: no file is opened, no memory
 * touched, no descriptor valid.  The first two also keep the child from leaving a core dump.
 */
static const struct {
    short number;
    long arguments[6];
} rows[] = {
    {SYS_prctl, {PR_SET_DUMPABLE, 0}},
    {SYS_prlimit64, {0, RLIMIT_CORE, (long)(uintptr_t)&no_core, ROOM}},
    {SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0}},
    {SYS_munmap, {4096, 4096}},
    {SYS_mremap, {-1, 4096, 4096, 0}},
    {SYS_mprotect, {0, 0, PROT_READ}},
    {SYS_madvise, {0, 0, MADV_DONTNEED}},
    {SYS_mincore, {0, 0, ROOM}},
    {SYS_rt_sigaction, {SIGUSR1, 0, ROOM, 8}},
    {SYS_rt_sigprocmask, {SIG_BLOCK, 0, ROOM, 8}},
    {SYS_rt_sigpending, {ROOM, 8}},
    {SYS_rt_sigtimedwait, {(long)(uintptr_t)&no_signals, 0, (long)(uintptr_t)&at_once, 8}},
    {SYS_sigaltstack, {0, ROOM}},
    {SYS_tgkill, {-1, -1, 0}},
    {SYS_gettid, {0}},
    {SYS_getpid, {0}},
    {SYS_getppid, {0}},
    {SYS_clock_gettime, {CLOCK_MONOTONIC, ROOM}},
    {SYS_futex, {ROOM, FUTEX_WAKE_PRIVATE, 0}},
    {SYS_sched_yield, {0}},
    {SYS_getrlimit, {RLIMIT_STACK, ROOM}},
    {SYS_setitimer, {-1, ROOM, 0}},
    {SYS_timer_settime, {-1, 0, ROOM, 0}},
    {SYS_timer_gettime, {-1, ROOM}},
    {SYS_timer_create, {-1, 0, ROOM}},
    {SYS_sysinfo, {ROOM}},
    {SYS_personality, {0xffffffff}},
    {SYS_getrandom, {ROOM, 0, 0}},
    {SYS_openat, {AT_FDCWD, TEXT(""), O_RDONLY | O_CLOEXEC, 0}},
    {SYS_close, {-1}},
    {SYS_pread64, {-1, ROOM, 0, 0}},
    {SYS_lseek, {-1, 0, SEEK_SET}},
    {SYS_fstat, {-1, ROOM}},
    {SYS_stat, {TEXT(""), ROOM}},
    {SYS_statfs, {TEXT(""), ROOM}},
    {SYS_readlinkat, {-1, TEXT(""), ROOM, 1}},
    {SYS_readlink, {TEXT(""), ROOM, 1}},
    {SYS_faccessat, {-1, TEXT(""), 0}},
    {SYS_unlinkat, {-1, TEXT(""), 0}},
    {SYS_rename, {TEXT(""), TEXT("")}},
    {SYS_renameat, {-1, TEXT(""), -1, TEXT("")}},
    {SYS_flock, {-1, 0}},
    {SYS_geteuid, {0}},
    {SYS_ftruncate, {-1, 0}},
    {SYS_getdents64, {-1, ROOM, 64}},
    {SYS_ioctl, {-1, FIONREAD, ROOM}},
    {SYS_fcntl, {-1, F_GETFL, 0}},
    {SYS_dup3, {-1, -1, 0}},
    {SYS_poll, {0, 0, 0}},
    {SYS_pipe2, {0, O_CLOEXEC}},
    {SYS_tee, {-1, -1, 0, 0}},
    {SYS_socketpair, {-1, 0, 0, 0}},
    {SYS_socket, {-1, 0, 0}},
    {SYS_bind, {-1, 0, 0}},
    {SYS_connect, {-1, 0, 0}},
    {SYS_sendmsg, {-1, 0, 0}},
    {SYS_recvmsg, {-1, 0, 0}},
    {SYS_recvfrom, {-1, ROOM, 0, 0}},
    {SYS_getsockopt, {-1, SOL_SOCKET, SO_TYPE, 0, 0}},
    {SYS_setsockopt, {-1, SOL_SOCKET, SO_PEEK_OFF, 0, 0}},
    {SYS_getsockname, {-1, ROOM, ROOM}},
    {SYS_getpeername, {-1, ROOM, ROOM}},
    {SYS_process_vm_readv, {-1, 0, 0, 0, 0, 0}},
    {SYS_process_vm_writev, {-1, 0, 0, 0, 0, 0}},
    {SYS_restart_syscall, {0}},
    {SYS_socket, {-1, 0, 0}}, /* what a check from outside adds: runtime/live */
    {SYS_connect, {-1, 0, 0}},
    {SYS_poll, {0, 0, 0}},
    {SYS_pidfd_open, {-1, 0}},
    {SYS_pidfd_getfd, {-1, -1, 0}},
    {SYS_setpriority, {-1, 0, 0}},
    {SYS_kill, {1 << 30, 0}},
    {SYS_sched_setscheduler, {-1, 0, 0}},
    {SYS_wait4, {-1, 0, WNOHANG, 0}},
    {SYS_close_range, {~0u, ~0u, 0}},
    {SYS_open_tree, {-1, TEXT(""), 0}},
    {SYS_unshare, {CLONE_THREAD}},
    {SYS_clone, {CLONE_SIGHAND}},
    {SYS_execve, {TEXT(""), 0, 0}},
    {SYS_rt_sigreturn, {0}}, /* it crashes, which is an answer, too */
};

void crn_calls_save(struct crn_calls_state *state)
{
    memcpy(state->words, crn_calls_forbidden, sizeof state->words);
}

void crn_calls_restore(const struct crn_calls_state *state)
{
    memcpy(crn_calls_forbidden, state->words, sizeof state->words);
}

/* What one trial has found so far: its own calls are as free as before. */
static uint8_t found[CRN_CALLS_MAX / 8];

static void found_note(long number)
{
    found[number >> 3] |= (uint8_t)(1u << (number & 7));
}

static bool is_found(long number)
{
    return (found[number >> 3] >> (number & 7) & 1) != 0;
}

static void found_take(void)
{
    for (unsigned i = 0; i < sizeof found; i++)
        crn_calls_forbidden[i] |= found[i];
    memset(found, 0, sizeof found);
}

void crn_calls_forbid_all(void)
{
    crn_calls_are_tried = true;
    crn_tid_keep();
    for (unsigned i = 0; i < CRN_COUNT_OF(rows); i++)
        found_note(rows[i].number);
    found_take();
}

/* In the child: begins with row `from`, and says which one it is at. */
static __attribute__((noreturn)) void rows_try(const struct crn_filter *filter, unsigned from,
                                               _Atomic uint32_t *at)
{
    static const uintptr_t defaults[4]; /* the kernel's struct sigaction, all zero: SIG_DFL */
    static const int faults[] = {SIGSYS, SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
    long is_there = 0;
    if (filter->how != CRN_FILTER_THERE) {
        for (unsigned i = 0; i < CRN_COUNT_OF(faults); i++)
            crn_syscall_always(SYS_rt_sigaction, faults[i], (long)(uintptr_t)defaults, 0, 8, 0, 0);
        crn_syscall_always(SYS_prctl, PR_SET_DUMPABLE, 0, 0, 0, 0, 0);
        crn_syscall_always(SYS_prlimit64, 0, RLIMIT_CORE, (long)(uintptr_t)&no_core, 0, 0, 0);
    }
    if (filter->how == CRN_FILTER_PRCTL)
        is_there = crn_syscall_always(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER_,
                                      (long)(uintptr_t)filter->program, 0, 0, 0);
    else if (filter->how == CRN_FILTER_SECCOMP)
        is_there = crn_syscall_always(SYS_seccomp, SECCOMP_SET_MODE_FILTER_, 0,
                                      (long)(uintptr_t)filter->program, 0, 0, 0);
    for (unsigned i = from; i < CRN_COUNT_OF(rows) && is_there == 0; i++) {
        const long *a = rows[i].arguments;
        *at = i;
        if (!crn_call_is_forbidden(rows[i].number) && !is_found(rows[i].number))
            crn_syscall_always(rows[i].number, a[0], a[1], a[2], a[3], a[4], a[5]);
    }
    *at = CRN_COUNT_OF(rows);
    for (;;)
        crn_syscall_always(SYS_exit_group, 0, 0, 0, 0, 0, 0);
}

/* Waits for the end of the child; one that hangs (a supervisor may decide on its call) is ended. */
static int child_await(long child)
{
    enum { LIMIT_MS = 3000 };
    uint64_t deadline = crn_now_ns() + (uint64_t)LIMIT_MS * 1000000;
    int status = 0;
    bool is_ended = false;
    for (;;) {
        long result = crn_syscall4(SYS_wait4, child, &status, WNOHANG | __WALL, NULL);
        if (result == child || (result < 0 && result != -EINTR))
            return status;
        if (crn_now_ns() > deadline && !is_ended) {
            crn_syscall2(SYS_kill, child, SIGKILL);
            is_ended = true;
        }
        crn_syscall0(SYS_sched_yield);
    }
}

bool crn_calls_try(const struct crn_filter *filter)
{
    enum { SIGNAL_OF_STATUS = 0x7f };
    const uint64_t all = ~UINT64_C(0);
    uint64_t mask_before = 0;
    bool is_tried = true;
    crn_calls_are_tried = true;
    crn_tid_keep();
    long page = crn_syscall6(SYS_mmap, 0, CRN_PAGE_BYTES, PROT_READ | PROT_WRITE,
                             MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (crn_sys_failed(page) || crn_call_is_forbidden(SYS_wait4)) {
        crn_calls_forbid_all();
        return false;
    }
    _Atomic uint32_t *at = (_Atomic uint32_t *)page;
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &all, &mask_before, sizeof all);
    for (unsigned from = 0; from < CRN_COUNT_OF(rows); from = *at + 1) {
        *at = CRN_COUNT_OF(rows);
        long child = crn_syscall(SYS_clone, 0, 0, 0, 0, 0, 0);
        if (child == 0)
            rows_try(filter, from, at);
        is_tried = child > 0;
        if (!is_tried)
            break;
        int signal = child_await(child) & SIGNAL_OF_STATUS;
        if (*at < CRN_COUNT_OF(rows) &&
            (rows[*at].number != SYS_rt_sigreturn || signal == SIGSYS || signal == SIGKILL))
            found_note(rows[*at].number);
    }
    crn_syscall4(SYS_rt_sigprocmask, SIG_SETMASK, &mask_before, NULL, sizeof all);
    crn_syscall2(SYS_munmap, page, CRN_PAGE_BYTES);
    found_take();
    if (!is_tried)
        crn_calls_forbid_all();
    return is_tried;
}

bool crn_calls_are_filtered(void)
{
    static const char label[] = "\nSeccomp:\t";
    char text[4096];
    int fd = crn_proc_open("self/status");
    long count = fd < 0 ? 0 : crn_sys_read_all(fd, text, sizeof text - 1);
    crn_proc_close(fd);
    text[count > 0 ? count : 0] = 0;
    const char *label_at = strstr(text, label);
    return label_at != NULL && label_at[sizeof label - 1] != '0';
}
