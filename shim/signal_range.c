/*
 * Takes CRN_STOP_SIGNAL out of the range of signals, as glibc takes 32 and 33.
 *
 * SIGRTMAX is one less, no set holds the signal, and functions that are given its number refuse it
 * with EINVAL.  glibc has a range of its own to give real-time signals away from
 * (__libc_allocate_rtsig): we are the first who take one, from the upper end.
 *
 * What a program does by system calls of its own, or with sets that it filled without libc, is not
 * seen here.  Sets are cleaned where they are used (signals.c).
 */
#include "shim/real.h"
#include "snap/stop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

CRN_EXPORT int __libc_current_sigrtmax(void);
CRN_EXPORT int __libc_allocate_rtsig(int is_high);

static int (*real_allocate)(int);

/* Takes the last signal, once, before libc can give it to anyone. */
static void ours_take(void)
{
    static _Atomic bool is_taken;
    if (real_allocate == NULL)
        real_allocate = (int (*)(int))crn_shim_next("__libc_allocate_rtsig");
    if (!atomic_exchange(&is_taken, true))
        real_allocate(0); /* 0: from the upper end of the range */
}

CRN_EXPORT CRN_REALIGNED int __libc_allocate_rtsig(int is_high)
{
    ours_take();
    return real_allocate(is_high);
}

CRN_EXPORT CRN_REALIGNED int __libc_current_sigrtmax(void)
{
    static int (*real)(void);
    if (real == NULL)
        real = (int (*)(void))crn_shim_next("__libc_current_sigrtmax");
    ours_take();
    return real();
}

/* The signals that no set of the program's holds: glibc's two, and ours. */
static const uint64_t withheld = (uint64_t)1 << 31 | (uint64_t)1 << 32 | CRN_STOP_SIGNAL_BIT;

/* The bit of a signal; 0, and errno, when it is none. */
static uint64_t bit_of(const sigset_t *set, int number)
{
    uint64_t bit = set == NULL || number < 1 || number >= NSIG ? 0 : (uint64_t)1 << (number - 1);
    if ((bit & ~withheld) == 0)
        errno = EINVAL;
    return bit & ~withheld;
}

CRN_EXPORT CRN_REALIGNED int sigaddset(sigset_t *set, int number)
{
    uint64_t bit = bit_of(set, number);
    if (bit != 0)
        set->__val[0] |= bit;
    return bit != 0 ? 0 : -1;
}

CRN_EXPORT CRN_REALIGNED int sigdelset(sigset_t *set, int number)
{
    uint64_t bit = bit_of(set, number);
    if (bit != 0)
        set->__val[0] &= ~bit;
    return bit != 0 ? 0 : -1;
}

/* Apart, since sigfillset's declaration says that the set is never NULL. */
static int set_fill(sigset_t *set)
{
    if (set == NULL) {
        errno = EINVAL;
        return -1;
    }
    set->__val[0] = ~withheld;
    return 0;
}

CRN_EXPORT CRN_REALIGNED int sigfillset(sigset_t *set)
{
    return set_fill(set);
}

CRN_EXPORT CRN_REALIGNED int pthread_kill(pthread_t thread, int number)
{
    static int (*real)(pthread_t, int);
    if (real == NULL)
        real = (int (*)(pthread_t, int))crn_shim_next("pthread_kill");
    return number == CRN_STOP_SIGNAL ? EINVAL : real(thread, number);
}

CRN_EXPORT CRN_REALIGNED int pthread_sigqueue(pthread_t thread, int number, union sigval value)
{
    static int (*real)(pthread_t, int, union sigval);
    if (real == NULL)
        real = (int (*)(pthread_t, int, union sigval))crn_shim_next("pthread_sigqueue");
    return number == CRN_STOP_SIGNAL ? EINVAL : real(thread, number, value);
}
