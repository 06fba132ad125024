/*
 * A thread that blocks every signal by a system call of its own, as libc's helpers do, is unseen, in
 * every check; but it is called only once, so that later checks do not wait for it again.  When it
 * lets signals in, it is seen.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE stays
 * EXPECT: none
 * EXPECT: summary    unseen_threads=1
 * EXPECT: warning    /did not stop within 200 ms/
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

enum { OURS = 64, CHECKS = 5 };

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

GLOBAL pthread_barrier_t turn;
static bool stays;
static int called;

/* How often our signal waits; it is taken. */
static int calls_take(void)
{
    uint64_t ours = UINT64_C(1) << (OURS - 1);
    struct timespec at_once = {0, 0};
    int count = 0;
    while (syscall(SYS_rt_sigtimedwait, &ours, NULL, &at_once, sizeof ours) == OURS)
        count++;
    return count;
}

static void *sit(void *unused)
{
    uint64_t all = UINT64_MAX, none = 0;
    REQUIRE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, sizeof all) == 0);
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    called = calls_take();
    if (!stays)
        REQUIRE(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, sizeof none) == 0);
    pthread_barrier_wait(&turn);
    for (;;)
        pause();
    return unused;
}

int main(int count, char **arguments)
{
    (void)count;
    pthread_t thread;
    stays = said(arguments, "stays");
    REQUIRE(pthread_barrier_init(&turn, NULL, 2) == 0);
    REQUIRE(pthread_create(&thread, NULL, sit, NULL) == 0);
    pthread_barrier_wait(&turn);
    for (int i = 0; i < CHECKS && __lsan_do_recoverable_leak_check != NULL; i++)
        __lsan_do_recoverable_leak_check();
    pthread_barrier_wait(&turn);
    pthread_barrier_wait(&turn);
    REQUIRE(called == 1);
    wipe();
    return 0;
}
