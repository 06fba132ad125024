/*
 * Thousands of threads that only wait are stopped, every one of them, however long that takes
 * altogether: what is not running cannot be slow.  A lost block is proven among them, and what one of
 * them holds is live.
 *
 * BUILD: once
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=777 allocated_in=hold confidence=proven
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

enum { THREADS = 5000 };

static pthread_barrier_t all_wait;
static bool is_twin;

NOINLINE static void *hold(void)
{
    void *volatile block = malloc(777);
    return block;
}

static void *wait_for_ever(void *number)
{
    void *volatile held = NULL;
    if (number == (void *)(THREADS / 2)) {
        held = hold();
        if (!is_twin)
            held = NULL;
        wipe_registers();
    }
    pthread_barrier_wait(&all_wait);
    for (;;) {
        pause();
        if (held != NULL) /* who wakes up would read it */
            fill(held, 777);
    }
    return NULL;
}

int main(int count, char **arguments)
{
    (void)count;
    is_twin = said(arguments, "twin");
    pthread_attr_t attributes;
    pthread_barrier_init(&all_wait, NULL, THREADS + 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 * 1024);
    for (intptr_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, &attributes, wait_for_ever, (void *)i) == 0);
    }
    pthread_barrier_wait(&all_wait);
    wipe();
    return 0;
}
