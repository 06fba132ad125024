/*
 * What a check takes of time is not the program's: its timers stand still at the end, while we mark
 * and report, and run while its own last handlers do.  When those are over, nothing that another
 * thread or process does changes how it ends.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE timers; echo $?; \
 *         LD_PRELOAD=$SHIM $CASE timers; echo $?
 * EXPECT: none
 * EXPECT: stdout     /^(timer 0 stood still\ntimer 1 stood still\ntimer 2 stood still\ntimer 3 stood still\n3\n){2}$/
 *
 * RUN:    for timer in 1 2 3; do coroner run $CASE fires $timer; echo $?; \
 *         (LD_PRELOAD=$SHIM exec $CASE fires $timer); echo $?; done
 * EXPECT: stdout     /^(3\n){6}$/
 *
 * RUN:    for i in 1 2 3 4 5; do rm -f ended; coroner run $CASE kills; echo $?; \
 *         mkdir -p t; (TMPDIR=$PWD/t LD_PRELOAD=$SHIM exec $CASE kills); echo $?; done
 * EXPECT: stdout     /^(3\n){10}$/
 *
 * RUN:    mkfifo never; exec 3<>never; (LD_PRELOAD=$SHIM exec $CASE reads lose <never); echo $?; \
 *         (LD_PRELOAD=$SHIM exec $CASE reads <never); echo $?
 * EXPECT: stdout     /^23\n3\n$/
 */
#include "case.h"

#include <dirent.h>
#include <pthread.h>
#include <sys/time.h>
#include <time.h>

enum { BLOCKS = 300000, OF_POSIX = 3, TIMERS = 4 };

GLOBAL char *kept;
GLOBAL void **many;
GLOBAL timer_t of_posix;
GLOBAL struct {
    double left, clock;
} before[TIMERS];

NOINLINE static char *make_sign(void)
{
    char *sign = malloc(235);
    fill(sign, 235);
    return sign;
}

static double clock_of(int timer)
{
    static const clockid_t clocks[TIMERS] = {CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID,
                                             CLOCK_PROCESS_CPUTIME_ID, CLOCK_MONOTONIC};
    struct timespec now;
    clock_gettime(clocks[timer], &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void timer_set(int timer, double seconds)
{
    struct itimerval interval = {
        .it_value = {(time_t)seconds, (suseconds_t)(seconds * 1e6) % 1000000}};
    struct itimerspec posix = {.it_value = {(time_t)seconds, (long)(seconds * 1e9) % 1000000000}};
    if (timer == OF_POSIX) {
        REQUIRE(timer_create(CLOCK_MONOTONIC, NULL, &of_posix) == 0);
        REQUIRE(timer_settime(of_posix, 0, &posix, NULL) == 0);
    } else {
        REQUIRE(setitimer(timer, &interval, NULL) == 0);
    }
}

static double timer_left(int timer)
{
    struct itimerval interval;
    struct itimerspec posix;
    if (timer == OF_POSIX) {
        REQUIRE(timer_gettime(of_posix, &posix) == 0);
        return (double)posix.it_value.tv_sec + (double)posix.it_value.tv_nsec / 1e9;
    }
    REQUIRE(getitimer(timer, &interval) == 0);
    return (double)interval.it_value.tv_sec + (double)interval.it_value.tv_usec / 1e6;
}

/* The check lies between main's end and this: most of the time, and none of the timers'. */
static void compare(void)
{
    for (int timer = 0; timer < TIMERS; timer++) {
        double passed = clock_of(timer) - before[timer].clock;
        double counted = before[timer].left - timer_left(timer);
        REQUIRE(timer_left(timer) > 0);
        printf("timer %d %s\n", timer, counted < passed / 2 ? "stood still" : "ran");
    }
}

/* Kills the process as soon as there is a recording. */
static void *kill_late(void *directory)
{
    for (;;) {
        DIR *listing = opendir(directory);
        struct dirent *entry;
        while (listing != NULL && (entry = readdir(listing)) != NULL)
            if (strstr(entry->d_name, ".crn") != NULL)
                kill(getpid(), SIGTERM);
        if (listing != NULL)
            closedir(listing);
    }
    return NULL;
}

static void *read_for_ever(void *unused)
{
    getchar(); /* with the lock of the stream */
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    kept = make_sign();
    if (said(argv, "lose"))
        kept = NULL;
    if (said(argv, "timers") || said(argv, "fires")) {
        many = malloc(BLOCKS * sizeof *many);
        for (int i = 0; i < BLOCKS; i++)
            many[i] = malloc(24);
    }
    if (said(argv, "kills"))
        pthread_create(&thread, NULL, kill_late,
                       getenv(getenv("CORONER_SESSION") != NULL ? "CORONER_SESSION" : "TMPDIR"));
    if (said(argv, "reads"))
        pthread_create(&thread, NULL, read_for_ever, NULL);
    if (said(argv, "reads"))
        usleep(100000);
    wipe();
    for (int timer = 0; timer < TIMERS && said(argv, "timers"); timer++) {
        timer_set(timer, 1000);
        before[timer].left = timer_left(timer);
        before[timer].clock = clock_of(timer);
    }
    if (said(argv, "timers"))
        atexit(compare);
    if (said(argv, "fires"))
        timer_set(atoi(argv[argc - 1]), atoi(argv[argc - 1]) == OF_POSIX ? 1 : 0.01);
    return 3;
}
