#ifndef STAND_H
#define STAND_H
/*
 * What the programs share that live.py has checked: a heart that beats, and a conversation.
 *
 * A thread wakes every millisecond and writes to some places of the heap.  The longest time between
 * two beats is what a check was felt as.  The program says "ready"; for each line that it reads
 * it prints the longest gap since the last one, in us, and it ends with its input.
 */
#include <pthread.h>
#ifdef __cplusplus
#include <atomic>
#define _Atomic(type) std::atomic<type>
#else
#include <stdatomic.h>
#endif
#include <stdio.h>
#include <time.h>

static _Atomic(long) longest_us;
static _Atomic(int) is_over;

static double stand_now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

struct heart {
    void (*touch)(void *user);
    void *user;
};

static void *beat(void *argument)
{
    struct heart *heart = (struct heart *)argument;
    double last = stand_now();
    while (!is_over) {
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
        heart->touch(heart->user);
        double now = stand_now();
        long gap = (long)((now - last) * 1e6);
        if (gap > longest_us)
            longest_us = gap;
        last = now;
    }
    return NULL;
}

static inline void stand(struct heart heart)
{
    pthread_t thread;
    char line[64];
    pthread_create(&thread, NULL, beat, &heart);
    puts("ready");
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        printf("%ld\n", atomic_exchange(&longest_us, 0));
        fflush(stdout);
    }
    is_over = 1;
    pthread_join(thread, NULL);
}
#endif
