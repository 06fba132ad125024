#ifndef CRN_STOP_H
#define CRN_STOP_H
/*
 * Stops all other threads of this process, without ptrace.
 *
 * Each gets a real-time signal of ours; its handler notes the interrupted registers and sleeps on
 * a futex.  The thread list is read again until nobody new is on it.  Threads are waited for as
 * long as some come, or wait for a processor; whoever has not stopped when that is over, or after
 * CRN_STOP_MOST_MS, is an unseen thread: it runs on, and is counted.  Time and memory grow with the
 * number of threads, which has no bound.
 */
#include "base/base.h"

#include <signal.h>
#include <ucontext.h>

enum {
    CRN_STOP_SIGNAL = 64,    /* the last one: SIGRTMAX is one less for the program */
    CRN_STOP_LIMIT_MS = 200, /* how long nobody comes who could */
    CRN_STOP_MOST_MS = 5000, /* in all */
};

/* Our signal in the first word of a sigset_t. */
#define CRN_STOP_SIGNAL_BIT ((uint64_t)1 << (CRN_STOP_SIGNAL - 1))

/* Takes our signal out of a set.  sigdelset refuses to, since it is no signal of the program's. */
CRN_INLINE void crn_stop_signal_drop(sigset_t *set)
{
    set->__val[0] &= ~CRN_STOP_SIGNAL_BIT;
}

/* A thread that stands still. */
struct crn_stopped {
    int tid;                   /* 0: the row is not used */
    const ucontext_t *context; /* its registers, on the handler's stack; or its stands_at */
    uintptr_t descriptor;      /* its pthread_self() */
};

struct crn_stopped_list {
    const struct crn_stopped *threads; /* in the order in which they stopped */
    uint32_t count;
    unsigned unseen; /* threads that did not stop */
    unsigned waited_ms;
    int unseen_tids[8];
    bool has_failed; /* nobody could be called, or not everybody: the others may run */
};

/*
 * The handler; install it with SA_SIGINFO | SA_ONSTACK | SA_RESTART and a mask that blocks all,
 * with the signals that sigfillset leaves out: glibc cancels a thread by signal 32.
 */
void crn_stop_handler(int signal, siginfo_t *info, void *context);

/* Stops everybody else.  One caller at a time. */
void crn_threads_stop(struct crn_stopped_list *list);

/* Lets them run again; the list is void. */
void crn_threads_resume(void);

void crn_stop_after_fork(void);

/*
 * Threads of ours (live/thread.h) that are none of the program's, and block every signal: they are
 * not called.  0: there is none.
 */
enum { CRN_STOP_LEFT_OUT_CHECKS = 2, CRN_STOP_LEFT_OUT_MAX = 4 };
extern _Atomic int crn_stop_left_out[CRN_STOP_LEFT_OUT_MAX];

/* What the handler does when the signal was queued with a value: somebody asks for a check. */
extern void (*_Atomic crn_stop_asked)(const siginfo_t *info);

#endif
