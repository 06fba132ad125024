/*
 * Stopping threads.  See stop.h.
 *
 * One round at a time.  `round_now` is odd while threads shall stand still; a handler that finds it
 * even was woken for a round that is over, and goes on at once.
 *
 * There may be ten thousand threads.  So whatever is looked up is looked up by thread id in a
 * table, the taker is woken once, by the last one that it waits for, and many threads are not slow
 * ones.  When nobody has come for CRN_STOP_LIMIT_MS, it asks the kernel about those that are left:
 *
 *     it could run, and did not get a processor     the machine is busy: it is waited for
 *     it sleeps where no signal wakes it, or        stuck: it is unseen, and remembered, so that
 *     blocks ours (helpers of libc's do)            no later check waits for it again
 *
 * What was stuck is called again when it has moved, or lets our signal in.
 */
#include "snap/stop.h"
#include "base/held.h"
#include "base/sys.h"
#include "base/vm.h"
#include "coro/thread.h"
#include "snap/resume.h"
#include "snap/task.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Thread ids are below this on every 64-bit kernel (PID_MAX_LIMIT, linux/threads.h). */
enum { TIDS_MAX = 1 << 22 };

static _Atomic uint32_t round_now;
static _Atomic uint32_t claimed;  /* rows of stopped[] given to a handler, this round */
static _Atomic uint32_t arrived;  /* rows that are filled */
static _Atomic uint32_t awaited;  /* how many the taker waits for; UINT32_MAX: it does not yet */
static _Atomic uint32_t gathered; /* 1: so many have arrived */
static _Atomic uint32_t inside;   /* handlers that have not returned yet */
static struct crn_span rows;      /* of struct crn_stopped; made readable before anyone is called */
static struct crn_span called;    /* of int: who was called this round, by thread id */

CRN_INLINE struct crn_stopped *row_at(uint32_t row)
{
    return (struct crn_stopped *)rows.base + row;
}

/* Rows that handlers may have written: what is claimed behind the last one is nobody's. */
static uint32_t rows_used(void)
{
    size_t most = rows.committed / sizeof(struct crn_stopped);
    return claimed < most ? claimed : (uint32_t)most;
}

_Atomic int crn_stop_left_out[CRN_STOP_LEFT_OUT_MAX];
void (*_Atomic crn_stop_asked)(const siginfo_t *info);

/* Stands still until the round is over; at once when it is over already. */
static void park(const ucontext_t *context)
{
    uint32_t now = atomic_load_explicit(&round_now, memory_order_acquire);
    if ((now & 1) == 0)
        return;
    inside++;
    uint32_t row = claimed++;
    if (row < rows_used()) {
        if (crn_self != NULL && crn_self->stands_at != NULL)
            context = crn_self->stands_at;
        *row_at(row) =
            (struct crn_stopped){crn_sys_gettid(), context, (uintptr_t)pthread_self()};
        if (++arrived >= awaited) {
            gathered = 1;
            crn_futex_wake_all(&gathered);
        }
        while (atomic_load_explicit(&round_now, memory_order_acquire) == now)
            crn_futex_wait(&round_now, now, UINT64_MAX);
    }
    inside--;
}

void crn_stop_handler(int signal, siginfo_t *info, void *context)
{
    int saved_errno = errno;
    uint64_t entered_ns = crn_now_ns();
    (void)signal;
    if (info->si_code == SI_TKILL && info->si_pid == crn_sys_getpid())
        park(context);
    else if (info->si_code == SI_QUEUE && crn_stop_asked != NULL)
        crn_stop_asked(info);
    errno = saved_errno;
    crn_resume(context, entered_ns);
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
    if (crn_syscall2(SYS_stat, "/proc/self/task", &status) == 0 ||
        crn_proc_stat("self/task", &status) == 0)
        return status.st_nlink == LINKS_OF_ONE;
    /* Out of sight of /proc: the kernel refuses this where there is another, and does nothing else.
     */
    return crn_syscall1(SYS_unshare, CLONE_THREAD) == 0;
}

/*
 * Whether /proc tells the threads of this process by the numbers that it has for them itself.  It
 * does not where it is out of sight, or shows the names of another pid namespace.
 */
static bool names_are_known;

/* What is to be known of a thread that did not come; without /proc, nothing. */
static void thread_look(int tid, struct crn_task_state *state)
{
    if (names_are_known)
        crn_task_look_closely(tid, CRN_STOP_SIGNAL_BIT, state);
    else
        *state = (struct crn_task_state){.letter = '?'};
}

/*
 * Threads that earlier rounds waited for in vain.  One taker at a time.
 */

enum { STUCK_MAX = 64 };
static struct stuck {
    int tid; /* 0: the row is free */
    uint64_t started, switches;
} stuck[STUCK_MAX];

static void stuck_remember(int tid, const struct crn_task_state *state)
{
    static unsigned next;
    unsigned at = 0;
    if (!state->is_mask_known)
        return;
    while (at < STUCK_MAX && stuck[at].tid != 0 && stuck[at].tid != tid)
        at++;
    if (at == STUCK_MAX)
        at = next++ % STUCK_MAX;
    stuck[at] = (struct stuck){tid, state->started, state->switches};
}

/* Whether it is the same thread, and still blocks our signal or has not moved since. */
static bool is_still_stuck(int tid)
{
    struct crn_task_state state;
    unsigned at = 0;
    while (at < STUCK_MAX && stuck[at].tid != tid)
        at++;
    if (at == STUCK_MAX)
        return false;
    crn_task_look_closely(tid, CRN_STOP_SIGNAL_BIT, &state);
    bool is_same = state.is_mask_known && state.started == stuck[at].started;
    if (is_same && (state.blocks || (state.letter != 'R' && state.switches == stuck[at].switches)))
        return true;
    stuck[at].tid = 0;
    return false;
}

/* What a round knows of a thread. */
enum state { UNKNOWN, CALLED, NOBODY, STOPPED, STUCK };

struct roll {
    uint8_t *states; /* by thread id */
    uint32_t count;  /* of `called` */
    uint32_t next;   /* of `called`: whom to ask about next */
    uint64_t began_ns;
    int stuck[STUCK_MAX]; /* not called */
    unsigned stuck_count;
    bool has_failed; /* somebody could not be called */
};

static int called_at(uint32_t index)
{
    return ((const int *)called.base)[index];
}

static bool is_left_out(int tid)
{
    for (unsigned i = 0; i < CRN_STOP_LEFT_OUT_MAX; i++)
        if (tid == crn_stop_left_out[i])
            return true;
    return false;
}

/* Calls a thread that was not called yet; answers whether it did. */
static bool thread_call(struct roll *roll, int pid, int tid)
{
    size_t count = (size_t)roll->count + 1;
    if (tid <= 0 || tid >= TIDS_MAX || roll->states[tid] != UNKNOWN ||
        is_left_out(tid))
        return false;
    if (roll->stuck_count < STUCK_MAX && is_still_stuck(tid)) {
        roll->states[tid] = STUCK;
        roll->stuck[roll->stuck_count++] = tid;
        return false;
    }
    if (!crn_span_ensure(&rows, (count + STUCK_MAX) * sizeof(struct crn_stopped)) ||
        !crn_span_ensure(&called, count * sizeof(int))) {
        roll->has_failed = true;
        return false;
    }
    if (crn_syscall3(SYS_tgkill, pid, tid, CRN_STOP_SIGNAL) != 0)
        return false;
    roll->states[tid] = CALLED;
    ((int *)called.base)[roll->count++] = tid;
    return true;
}

/* Without /proc: those that came through us. */
static bool known_threads_call(struct roll *roll, int pid, int self)
{
    bool was_new = false;
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        if (thread->state != CRN_THREAD_FREE && thread->tid != self)
            was_new |= thread_call(roll, pid, thread->tid);
    }
    return was_new;
}

/* Whether our handler is there: without one the signal would end the process. */
static bool is_caught(void)
{
    struct {
        void (*handler)(int, siginfo_t *, void *);
        unsigned long flags;
        void (*restorer)(void);
        uint64_t mask;
    } action = {.handler = NULL}; /* the kernel's struct sigaction */
    long result = crn_syscall4(SYS_rt_sigaction, CRN_STOP_SIGNAL, NULL, &action, 8);
    return result < 0 /* a sandbox */ || action.handler == crn_stop_handler;
}

/* Calls all threads that there are; answers whether any was new. */
static bool threads_call(struct roll *roll, int pid, int self)
{
    char buffer[4096] __attribute__((aligned(8)));
    bool was_new = false;
    long bytes;
    int fd = crn_proc_open_directory("self/task");
    names_are_known = false;
    while (fd >= 0 && (bytes = crn_syscall3(SYS_getdents64, fd, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < bytes;) {
            const struct linux_dirent *entry = (const void *)(buffer + at);
            at += entry->bytes;
            int tid = atoi(entry->name);
            if (tid == self)
                names_are_known = true;
            else
                was_new |= thread_call(roll, pid, tid);
        }
    }
    crn_proc_close(fd);
    return names_are_known ? was_new : known_threads_call(roll, pid, self) || was_new;
}

/* How many of those that were called have not come. */
static uint32_t left_count(struct roll *roll)
{
    uint32_t left = 0;
    for (uint32_t i = 0, count = rows_used(); i < count; i++)
        if (row_at(i)->tid != 0)
            roll->states[row_at(i)->tid] = STOPPED;
    for (uint32_t i = 0; i < roll->count; i++)
        left += roll->states[called_at(i)] == CALLED;
    return left;
}

/* Asks about some of those that are left, in turn: of thousands that would take long. */
static void nobodies_note(struct roll *roll)
{
    enum { ASKED_MAX = 256 };
    unsigned asked = 0;
    for (uint32_t i = 0; i < roll->count && asked < ASKED_MAX && names_are_known; i++) {
        struct crn_task_state state;
        int tid = called_at(roll->next++ % roll->count);
        if (roll->states[tid] != CALLED)
            continue;
        asked++;
        crn_task_look(tid, &state);
        if (state.is_nobody)
            roll->states[tid] = NOBODY;
    }
}

/* Whether a thread that was called is left, and somebody; then *state tells what it does. */
static bool is_left(struct roll *roll, int tid, struct crn_task_state *state)
{
    if (roll->states[tid] != CALLED)
        return false;
    thread_look(tid, state);
    if (state->is_nobody)
        roll->states[tid] = NOBODY;
    return !state->is_nobody;
}

/* Whether any of those that are left would come if it got a processor. */
static bool is_any_starved(struct roll *roll)
{
    struct crn_task_state state;
    for (uint32_t i = 0; i < roll->count; i++)
        if (is_left(roll, called_at(i), &state) && state.letter == 'R' && state.is_mask_known &&
            !state.blocks)
            return true;
    return false;
}

/* Waits until all that were called have come, or nobody has for too long; false: not all have. */
static bool threads_await(struct roll *roll)
{
    const uint64_t look_ns = 5000000, limit_ns = (uint64_t)CRN_STOP_LIMIT_MS * 1000000,
                   most_ns = (uint64_t)CRN_STOP_MOST_MS * 1000000;
    uint32_t seen = arrived, left;
    uint64_t now = crn_now_ns(), last_came = now;
    for (;;) {
        uint32_t came = arrived; /* before the look at who is left: it may wake us too early */
        left = left_count(roll);
        now = crn_now_ns();
        if (came != seen)
            last_came = now;
        seen = came;
        if (left == 0 || now - roll->began_ns > most_ns ||
            (now - last_came >= limit_ns && !is_any_starved(roll)))
            break;
        gathered = 0;
        awaited = came + left;
        if (arrived < awaited)
            crn_futex_wait(&gathered, 0, look_ns);
        if (arrived == came)
            nobodies_note(roll);
    }
    awaited = UINT32_MAX;
    return left == 0;
}

static void unseen_add(struct crn_stopped_list *list, int tid)
{
    if (list->unseen < CRN_COUNT_OF(list->unseen_tids))
        list->unseen_tids[list->unseen] = tid;
    list->unseen++;
}

static void unseen_note(struct roll *roll, struct crn_stopped_list *list)
{
    struct crn_task_state state;
    for (unsigned i = 0; i < roll->stuck_count; i++)
        if (roll->states[roll->stuck[i]] == STUCK)
            unseen_add(list, roll->stuck[i]);
    for (uint32_t i = 0; i < roll->count; i++) {
        if (!is_left(roll, called_at(i), &state))
            continue;
        stuck_remember(called_at(i), &state);
        unseen_add(list, called_at(i));
    }
}

static bool tables_init(void)
{
    return rows.base != NULL ||
           (crn_span_init(&called, TIDS_MAX * sizeof(int)) &&
            crn_span_init(&rows, TIDS_MAX * sizeof(struct crn_stopped)));
}

void crn_threads_stop(struct crn_stopped_list *list)
{
    struct roll roll = {.began_ns = crn_now_ns()};
    memset(list, 0, sizeof *list);
    if (is_single())
        return;
    if (!is_caught() || !tables_init() || (roll.states = crn_vm_map(TIDS_MAX)) == NULL) {
        list->unseen = 1;
        list->has_failed = true;
        return;
    }
    if (crn_call_is_forbidden(SYS_tgkill) || crn_call_is_forbidden(SYS_rt_sigreturn)) {
        list->unseen = 1; /* at least; a sandbox would kill for it */
        return;
    }
    int self = crn_sys_gettid(), pid = crn_sys_getpid();
    while (inside != 0) /* the last round's handlers have been woken and are leaving */
        crn_syscall0(SYS_sched_yield);
    memset(rows.base, 0, rows_used() * sizeof(struct crn_stopped));
    claimed = arrived = 0;
    awaited = UINT32_MAX;
    round_now++;
    while (threads_call(&roll, pid, self) && threads_await(&roll))
        ;
    left_count(&roll); /* somebody may have come meanwhile */
    unseen_note(&roll, list);
    list->waited_ms = (unsigned)((crn_now_ns() - roll.began_ns) / 1000000);
    crn_vm_unmap(roll.states, TIDS_MAX);
    list->threads = row_at(0);
    list->count = rows_used();
    list->has_failed = roll.has_failed;
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
    for (unsigned i = 0; i < CRN_STOP_LEFT_OUT_MAX; i++)
        crn_stop_left_out[i] = 0;
    inside = 0;
    round_now = (round_now + 1) & ~1u;
    memset(stuck, 0, sizeof stuck);
}
