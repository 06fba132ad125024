/*
 * Signals come from a timer and from another thread, with handlers on the thread's stack and on an
 * alternate one that hold the only pointer to a block for a while; other threads sleep, poll and
 * wait in calls that must last their time and must not end early.
 */
#include "motion.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { NAP_MS = 30, BYTES = 160 };

static char *_Atomic cell; /* whoever takes the block out holds it alone */
static atomic_int taken_count;

/* Holds the block on this stack alone, for a moment. */
static void handle(int number)
{
    int saved_errno = errno;
    (void)number;
    char *volatile mine = atomic_exchange(&cell, NULL);
    if (mine != NULL) {
        struct timespec moment = {0, 300000};
        clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL);
        MOTION_REQUIRE(mine[BYTES - 1] == 'c');
        atomic_store(&cell, mine);
        mine = NULL;
        taken_count++;
    }
    errno = saved_errno;
}

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

enum { NAPS = 8, UNTIL_TIME_OF_DAY = 6 };

/* One call of NAP_MS; answers whether it said that it had its time. */
static bool nap(unsigned kind, int events)
{
    struct timespec time = {0, NAP_MS * 1000000};
    struct timeval short_time = {0, NAP_MS * 1000};
    struct epoll_event event;
    sem_t never;
    sigset_t none;
    switch (kind) {
    case 0:
        return nanosleep(&time, NULL) == 0;
    case 1:
        return clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL) == 0;
    case 2:
        return poll(NULL, 0, NAP_MS) == 0;
    case 3:
        return select(0, NULL, NULL, NULL, &short_time) == 0;
    case 4:
        return epoll_wait(events, &event, 1, NAP_MS) == 0;
    case 5:
        return ppoll(NULL, 0, &time, NULL) == 0;
    case UNTIL_TIME_OF_DAY:
        sem_init(&never, 0, 0);
        clock_gettime(CLOCK_REALTIME, &time);
        time.tv_nsec += NAP_MS * 1000000;
        time.tv_sec += time.tv_nsec / 1000000000;
        time.tv_nsec %= 1000000000;
        return sem_timedwait(&never, &time) == -1 && errno == ETIMEDOUT;
    default:
        sigemptyset(&none);
        sigaddset(&none, SIGUSR2);
        return sigtimedwait(&none, NULL, &time) == -1 && errno == EAGAIN;
    }
}

static void *sleep_well(void *argument)
{
    unsigned kind = (unsigned)(uintptr_t)argument % NAPS;
    int events = epoll_create1(0);
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, NULL);
    for (; motion_is_on(); kind = (kind + 1) % NAPS) {
        /* The wall clock can be set meanwhile. */
        clockid_t clock = kind == UNTIL_TIME_OF_DAY ? CLOCK_REALTIME : CLOCK_MONOTONIC;
        double began = now(clock);
        MOTION_REQUIRE(nap(kind, events));
        MOTION_REQUIRE(now(clock) - began > NAP_MS * 0.9e-3);
    }
    close(events);
    return NULL;
}

static void handler_set(int number, int flags)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    action.sa_flags = flags;
    sigaction(number, &action, NULL);
}

static void *take_signals(void *unused)
{
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    sigaltstack(&stack, NULL);
    char *own = malloc(100);
    while (motion_is_on()) {
        own = realloc(own, 100 + (uintptr_t)own / 16 % 4000);
        own[99] = 'o';
    }
    free(own);
    stack.ss_flags = SS_DISABLE;
    void *memory = stack.ss_sp;
    sigaltstack(&stack, NULL);
    free(memory);
    return unused;
}

int main(int argc, char **argv)
{
    enum { SLEEPERS = 3 };
    pthread_t sleepers[SLEEPERS], taker;
    sigset_t only_alarm;
    cell = memset(malloc(BYTES), 'c', BYTES);
    handler_set(SIGUSR1, SA_ONSTACK);
    handler_set(SIGALRM, SA_RESTART);
    sigemptyset(&only_alarm);
    sigaddset(&only_alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &only_alarm, NULL); /* inherited: the main thread takes it */
    motion_begin(argc, argv);
    for (uintptr_t i = 0; i < SLEEPERS; i++)
        MOTION_REQUIRE(pthread_create(&sleepers[i], NULL, sleep_well, (void *)(3 * i)) == 0);
    MOTION_REQUIRE(pthread_create(&taker, NULL, take_signals, NULL) == 0);
    pthread_sigmask(SIG_UNBLOCK, &only_alarm, NULL);
    struct itimerval often = {{0, 3000}, {0, 3000}};
    setitimer(ITIMER_REAL, &often, NULL);
    while (motion_goes_on()) {
        pthread_kill(taker, SIGUSR1);
        usleep(1000);
    }
    memset(&often, 0, sizeof often);
    setitimer(ITIMER_REAL, &often, NULL);
    for (unsigned i = 0; i < SLEEPERS; i++)
        pthread_join(sleepers[i], NULL);
    pthread_join(taker, NULL);
    char *last = atomic_exchange(&cell, NULL);
    MOTION_REQUIRE(last != NULL && taken_count > 0);
    free(last);
    last = NULL;
    motion_wipe();
    return motion_end("all naps had their time");
}
