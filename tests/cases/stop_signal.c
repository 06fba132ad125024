/*
 * The signal that stops threads is none for the program: as glibc keeps 32 and 33 to itself,
 * Coroner keeps the last one, and SIGRTMAX is one less.  All others are the program's, in every way
 * of using a signal, also while checks stop its threads.  By default they end it.
 *
 * BUILD: once
 * FLAGS: -Wno-deprecated-declarations
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /^signals 34 to 63$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 60
 * EXPECT: none
 * EXPECT: process    exit.signal=60 exit.code=null
 * EXPECT: exit       status=188
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 63
 * EXPECT: none
 * EXPECT: process    exit.signal=63 exit.code=null
 * EXPECT: exit       status=191
 *
 * Another's word is not heard, be it with kill(1).
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 64
 * EXPECT: none
 * EXPECT: process    exit.signal=null exit.code=6
 * EXPECT: exit       status=6
 */
#include "case.h"

#include <errno.h>
#include <pthread.h>
#include <sys/signalfd.h>

enum { OURS = 64 };

int __libc_allocate_rtsig(int is_high);

GLOBAL volatile sig_atomic_t handled;
GLOBAL pthread_barrier_t sits;

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

static void check_now(void)
{
    REQUIRE(__lsan_do_recoverable_leak_check != NULL && __lsan_do_recoverable_leak_check() == 0);
}

static void handle(int number)
{
    handled = number;
}

static void handle_with_value(int number, siginfo_t *info, void *context)
{
    (void)context;
    handled = info->si_value.sival_int == number ? number : -1;
}

/* The last signal is none: no function takes its number, and no set holds it. */
static void ours_is_none(void)
{
    sigset_t set, current;
    struct sigaction action = {.sa_handler = handle};
    union sigval value = {.sival_int = OURS};
    REQUIRE(SIGRTMAX == OURS - 1);
    REQUIRE(sigaction(OURS, NULL, &action) == -1 && errno == EINVAL);
    REQUIRE(sigaction(OURS, &action, NULL) == -1 && errno == EINVAL);
    REQUIRE(signal(OURS, handle) == SIG_ERR && errno == EINVAL);
    REQUIRE(sigset(OURS, handle) == SIG_ERR && errno == EINVAL);
    REQUIRE(sigset(OURS, SIG_HOLD) == SIG_ERR && errno == EINVAL);
    REQUIRE(sighold(OURS) == -1 && sigrelse(OURS) == -1 && sigignore(OURS) == -1);
    REQUIRE(siginterrupt(OURS, 1) == -1 && errno == EINVAL);
    REQUIRE(pthread_kill(pthread_self(), OURS) == EINVAL);
    REQUIRE(pthread_sigqueue(pthread_self(), OURS, value) == EINVAL);
    sigemptyset(&set);
    REQUIRE(sigaddset(&set, OURS) == -1 && errno == EINVAL);
    REQUIRE(sigfillset(&set) == 0 && sigismember(&set, OURS) == 0);
    REQUIRE(sigismember(&set, OURS - 1) == 1 && sigismember(&set, 32) == 0);
    memset(&set, 0xff, sizeof set); /* filled by hand */
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    REQUIRE(sigprocmask(SIG_SETMASK, NULL, &current) == 0 && sigismember(&current, OURS) == 0);
    sigemptyset(&set);
    REQUIRE(sigprocmask(SIG_SETMASK, &set, NULL) == 0);
}

/* Whoever takes signals out of the range gets others. */
static void ranges(void)
{
    REQUIRE(__libc_allocate_rtsig(0) == OURS - 1);
    REQUIRE(SIGRTMAX == OURS - 2);
    REQUIRE(__libc_allocate_rtsig(1) == SIGRTMIN - 1);
}

/* By a handler, sigwait, sigtimedwait and a signalfd, with a value. */
static void one_signal_works(int number)
{
    sigset_t set;
    int taken;
    siginfo_t info;
    struct signalfd_siginfo read_info;
    const struct timespec no_time = {0, 0};
    union sigval value = {.sival_int = number};
    struct sigaction action = {.sa_sigaction = handle_with_value, .sa_flags = SA_SIGINFO}, old;
    REQUIRE(sigaction(number, &action, &old) == 0 && old.sa_handler == SIG_DFL);
    handled = 0;
    REQUIRE(sigqueue(getpid(), number, value) == 0 && handled == number);
    REQUIRE(signal(number, handle) != SIG_ERR);
    handled = 0;
    REQUIRE(raise(number) == 0 && handled == number);
    handled = 0;
    REQUIRE(pthread_kill(pthread_self(), number) == 0 && handled == number);

    sigemptyset(&set);
    REQUIRE(sigaddset(&set, number) == 0 && sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    handled = 0;
    REQUIRE(raise(number) == 0 && sigwait(&set, &taken) == 0 && taken == number);
    REQUIRE(sigqueue(getpid(), number, value) == 0);
    REQUIRE(sigtimedwait(&set, &info, &no_time) == number && info.si_value.sival_int == number);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    REQUIRE(fd >= 0 && sigqueue(getpid(), number, value) == 0);
    REQUIRE(read(fd, &read_info, sizeof read_info) == sizeof read_info);
    REQUIRE(read_info.ssi_signo == (unsigned)number && read_info.ssi_int == number);
    REQUIRE(handled == 0);
    close(fd);
    REQUIRE(signal(number, SIG_DFL) == handle);
    REQUIRE(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

/* Takes no signal from the main thread. */
static void *sit(void *unused)
{
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    pthread_barrier_wait(&sits);
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_barrier_init(&sits, NULL, 2);
    REQUIRE(pthread_create(&thread, NULL, sit, NULL) == 0);
    pthread_barrier_wait(&sits);
    wipe();
    check_now();
    if (argc > 1) {
        kill(getpid(), atoi(argv[1]));
        return 6;
    }
    ours_is_none();
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) {
        one_signal_works(number);
        check_now();
    }
    printf("signals %d to %d\n", SIGRTMIN, SIGRTMAX);
    ranges();
    return 0;
}
