/*
 * The conductor of a check from outside.  See live.h.
 */
#include "live/live.h"
#include "live/child.h"
#include "live/collapse.h"
#include "live/supply.h"
#include "live/thread.h"
#include "base/held.h"
#include "base/sys.h"
#include "check/check.h"
#include "check/host.h"
#include "check/limits.h"
#include "snap/borrow.h"
#include "snap/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/wait.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CHECK_LIMIT_MS = 1000, SLICE_MS = 20 };
enum { CLOSE_RANGE_UNSHARE_ = 2 }; /* <linux/close_range.h>, Linux 5.9 */

/* What of a check is under way. */
enum { FREE, CONDUCTED };
enum { GOES_ON, MUST_LEAVE, MUST_END }; /* what the conductor was told: without the child, with it */

static struct {
    _Atomic uint32_t state;     /* FREE or CONDUCTED */
    _Atomic uint32_t told;      /* GOES_ON, … */
    _Atomic uint32_t asker;     /* who asked for the check under way */
    _Atomic uint32_t finished;  /* how many checks are over */
    struct crn_live_room rooms[2]; /* the conductor's; and of one who tells another asker to wait */
    struct crn_huge_ranges huge;   /* what was huge before the first split */
} live;

/* What a thread of ours is begun with, at the top of its stack's memory: the handler returns. */
struct call {
    uint64_t cookie;
    uint32_t asker;
};
static struct call calls[2];

struct linux_dirent {
    uint64_t inode;
    int64_t offset;
    uint16_t bytes;
    uint8_t type;
    char name[];
};

/*
 * A descriptor table of our own, with nothing in it but what is ours in the program's (base/held.h).
 * The kernel copies what lies above a range that is closed: so the largest one comes first.
 */
static bool range_leave(void)
{
    unsigned from = 0;
    int ours;
    unsigned flags = CLOSE_RANGE_UNSHARE_;
    while ((ours = crn_held_first(from, ~0u)) >= 0) {
        if ((unsigned)ours > from &&
            crn_syscall3(SYS_close_range, from, (unsigned)ours - 1, flags) != 0)
            return false;
        flags = (unsigned)ours > from ? 0 : flags;
        from = (unsigned)ours + 1;
    }
    return crn_syscall3(SYS_close_range, from, ~0u, flags) == 0;
}

/* Whether close_range(2) is there, and allowed: containers' seccomp profiles may be older than it.
 */
static bool has_range_close(void)
{
    return crn_syscall3(SYS_close_range, ~0u, ~0u, 0) == 0;
}

/*
 * Otherwise the thread begins with a copy of the table, and closes what is in it one by one: for so
 * long a file that the program closes stays open.
 */
static bool copies_close(void)
{
    char entries[4096] __attribute__((aligned(8)));
    int directory = crn_proc_open_directory("thread-self/fd");
    long bytes;
    if (directory < 0)
        return false;
    while ((bytes = crn_syscall3(SYS_getdents64, directory, entries, sizeof entries)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct linux_dirent *entry = (const void *)(entries + at);
            at += entry->bytes;
            int fd = entry->name[0] >= '0' && entry->name[0] <= '9' ? atoi(entry->name) : -1;
            if (fd >= 0 && fd != directory && !crn_held_is_ours(fd))
                crn_syscall1(SYS_close, fd);
        }
    }
    crn_proc_close(directory);
    return true;
}

/* Why no check can be made now, a clause; NULL: one can. */
static const char *obstacle_find(void)
{
    if (crn_host.phase() == CRN_HOST_STOOD_DOWN)
        return crn_host.process->trouble != NULL ? crn_host.process->trouble
                                                 : "Coroner stood down in it";
    if (crn_host.phase() != CRN_HOST_WATCHES)
        return "it has not begun yet";
    if (!crn_host.options->detect_leaks)
        return "leak detection is turned off in it";
    return NULL;
}

static void refuse(struct crn_live_job *job, const char *why)
{
    crn_line_send(&job->line, CRN_ASK_REFUSED, why, strlen(why));
}

static struct crn_live_shared *shared_make(void)
{
    static uintptr_t place; /* in our window: it is nobody's shared memory */
    if (place == 0 && (place = crn_vm_claim(CRN_PAGE_BYTES)) == 0)
        return NULL;
    long start = crn_syscall6(SYS_mmap, place, CRN_PAGE_BYTES, PROT_READ | PROT_WRITE,
                              MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    return start == (long)place ? (struct crn_live_shared *)start : NULL;
}

static void shared_free(struct crn_live_shared *shared)
{
    crn_syscall2(SYS_munmap, shared, CRN_PAGE_BYTES);
}

/*
 * The pause: from the stop to the moment when the threads may go on.  Answers the child, or a
 * negative errno.
 */
static long child_make(struct crn_live_job *job)
{
    unsigned locked = crn_check_lock(crn_sys_gettid());
    uint64_t stopping = crn_now_ns();
    job->is_torn = locked < CRN_CHECK_REGISTRIES;
    crn_threads_stop(&job->stopped);
    long child = -EAGAIN;
    if (!job->stopped.has_failed) {
        crn_beforehand_take(job->beforehand);
        child = crn_syscall(SYS_clone, CLONE_UNTRACED, 0, 0, 0, 0, 0);
        if (child == 0)
            crn_live_child(job);
    }
    crn_threads_resume();
    job->shared->pause_ns = crn_now_ns() - stopping;
    job->shared->is_resumed = 1;
    crn_check_unlock(locked);
    return child;
}

/* Tells the asker that the child is at it. */
static void working_say(struct crn_live_job *job, uint64_t *said_ns)
{
    const uint64_t every_ns = UINT64_C(1000000000);
    if (job->line.directory >= 0 || crn_now_ns() - *said_ns < every_ns ||
        !crn_live_line_take(job->shared, CRN_LINE_CONDUCTOR))
        return;
    crn_line_send(&job->line, CRN_ASK_WORKING, NULL, 0);
    *said_ns = crn_now_ns();
    job->shared->line_owner = CRN_LINE_FREE;
}

/*
 * Waits for the child; answers why it was ended before its time, or NULL.  While the child sends its
 * answer, which is soon over, the line is its own, and no lack of memory ends it.
 */
static const char *child_await(struct crn_live_job *job, long child, struct crn_supply *supply)
{
    const char *why = NULL;
    uint64_t said_ns = crn_now_ns();
    size_t heap_bytes = crn_heap.region.next - crn_heap.region.base;
    while (crn_syscall4(SYS_wait4, child, NULL, WNOHANG | __WALL, NULL) == 0) {
        uint32_t told = live.told;
        if (told == MUST_LEAVE)
            return NULL;
        if (why == NULL && job->shared->line_owner != CRN_LINE_CHILD)
            why = crn_supply_look(supply, heap_bytes);
        if (why == NULL && told == MUST_END)
            why = "the process changes who or where it is";
        if (why != NULL)
            crn_syscall2(SYS_kill, child, SIGKILL);
        else
            working_say(job, &said_ns);
        crn_futex_wait(&live.told, told, (uint64_t)SLICE_MS * 1000000);
    }
    return job->shared->has_answered != 0 ? NULL : why;
}

static void check_do(struct crn_live_job *job)
{
    struct crn_supply supply;
    struct crn_ask_over over = {.pause_ns = 0};
    bool has_line = true; /* nobody else writes to it, or has left a frame in the middle */
    size_t heap_bytes = crn_heap.region.next - crn_heap.region.base;
    crn_supply_find(&supply);
    const char *why = crn_supply_obstacle(&supply, heap_bytes);
    if (why != NULL) {
        refuse(job, why);
        return;
    }
    if (!crn_checks_begin(crn_sys_gettid(), CHECK_LIMIT_MS)) {
        refuse(job, "the program is checking itself");
        return;
    }
    crn_borrow_begin();
    crn_huge_ranges_find(&live.huge);
    crn_huge_ranges_fill(&live.huge, &live.told);
    job->number = crn_check_number_take();
    job->beforehand = crn_beforehand_look();
    job->shared = shared_make();
    long child = -ENOMEM;
    if (job->beforehand != NULL && job->shared != NULL)
        child = child_make(job);
    crn_borrow_end();
    crn_beforehand_free(job->beforehand);
    crn_checks_end();
    if (child < 0) {
        refuse(job, child == -EAGAIN  ? "its threads could not be stopped, or no copy of it made"
                    : child == -ENOMEM ? "there was no memory for a copy of it"
                                       : "no copy of it could be made");
    } else {
        crn_supply_watch(&supply, (pid_t)child);
        why = child_await(job, child, &supply);
        crn_supply_end(&supply);
        bool is_cut = job->shared->line_owner == CRN_LINE_CHILD && job->shared->has_answered == 0;
        has_line = !is_cut && live.told != MUST_LEAVE;
        if (why != NULL && has_line)
            refuse(job, why);
        over.pause_ns = job->shared->pause_ns;
        over.copied_bytes = why != NULL ? supply.copied_bytes : job->shared->copied_bytes;
        over.has_given_up = why != NULL;
    }
    if (live.told == GOES_ON)
        over.collapsed_bytes = crn_huge_ranges_collapse(&live.huge, &live.told);
    crn_huge_ranges_free(&live.huge);
    if (job->shared != NULL)
        shared_free(job->shared);
    if (has_line)
        crn_line_send(&job->line, CRN_ASK_OVER, &over, sizeof over);
}

static bool job_begin(struct crn_live_job *job, unsigned room)
{
    const struct call *call = &calls[room];
    crn_self = NULL; /* what was copied is another thread's */
    crn_syscall_number = 0;
    crn_stop_left_out[room] = crn_sys_gettid();
    memset(job, 0, sizeof *job);
    job->began_ns = crn_now_ns();
    job->parent_pid = (int)crn_syscall0(SYS_getppid);
    return (has_range_close() ? range_leave() : copies_close()) &&
           crn_line_open(&job->line, call->cookie);
}

/* The conductor's whole life. */
static void conduct(void *unused)
{
    struct crn_live_job job;
    (void)unused;
    if (job_begin(&job, 0)) {
        const char *why = obstacle_find();
        if (crn_line_greet(&job.line, &job.request)) {
            live.asker = job.request.asker;
            if (why != NULL)
                refuse(&job, why);
            else
                check_do(&job);
        }
        crn_line_close(&job.line, true);
    }
    crn_stop_left_out[0] = 0;
    live.state = FREE;
    live.finished++;
    crn_futex_wake_all(&live.finished);
}

/* Another asker is told to wait, and whom for. */
static void put_off(void *unused)
{
    struct crn_live_job job;
    uint32_t asker = live.asker;
    (void)unused;
    if (job_begin(&job, 1)) {
        if (crn_line_greet(&job.line, &job.request))
            crn_line_send(&job.line, CRN_ASK_BUSY, &asker, sizeof asker);
        crn_line_close(&job.line, true);
    }
    crn_stop_left_out[1] = 0;
}

/* In the handler of our signal, every signal blocked. */
static void asked(const siginfo_t *info)
{
    uint32_t expected = FREE;
    if (crn_sys_getpid() != crn_host.process->pid || live.told != GOES_ON)
        return; /* it is ending: its asker sees that */
    bool is_first = atomic_compare_exchange_strong(&live.state, &expected, CONDUCTED);
    unsigned room = is_first ? 0 : 1;
    if (!is_first && live.rooms[1].tid_word != 0)
        return; /* one more is too many: its asker gives up by itself */
    calls[room] = (struct call){(uint64_t)(uintptr_t)info->si_value.sival_ptr,
                                (uint32_t)info->si_pid};
    if (is_first)
        crn_live_thread_await(&live.rooms[0], (uint64_t)SLICE_MS * 1000000); /* it is leaving */
    int result = crn_live_thread_begin(&live.rooms[room], has_range_close(),
                                       is_first ? conduct : put_off, NULL);
    if (is_first && result != 0) {
        live.state = FREE;
        live.finished++;
    }
}

void crn_live_start(void)
{
    crn_live_thread_learn();
    crn_stop_asked = asked;
}

void crn_live_leave(bool ends)
{
    const uint64_t limit_ns = UINT64_C(2000000000);
    live.told = ends ? MUST_LEAVE : MUST_END;
    if (live.state == CONDUCTED) {
        crn_futex_wake_all(&live.told);
        for (unsigned i = 0; i < CRN_COUNT_OF(live.rooms); i++)
            crn_live_thread_await(&live.rooms[i], limit_ns);
    }
    if (!ends)
        live.told = GOES_ON;
}

uint32_t crn_live_finished(void)
{
    return live.finished;
}

void crn_live_await(uint32_t before, uint64_t limit_ns)
{
    uint64_t deadline = crn_now_ns() + limit_ns;
    for (uint64_t now; live.finished == before && (now = crn_now_ns()) < deadline;)
        crn_futex_wait(&live.finished, before, deadline - now);
}

void crn_live_after_fork(void)
{
    live.state = FREE;
    live.told = GOES_ON;
    for (unsigned i = 0; i < CRN_COUNT_OF(live.rooms); i++)
        crn_live_room_after_fork(&live.rooms[i]);
}
