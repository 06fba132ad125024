/*
 * pthread_key_delete leaves the values in the slots of all threads, and nobody gets them any more:
 * they hold nothing, whether the key was one of the first 32 or not, and in threads that run.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE delete
 * EXPECT: lost       blocks=200 bytes=20000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE delete again
 * EXPECT: lost       blocks=200 bytes=20000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

enum { KEYS = 100, BYTES = 100 };

static pthread_key_t keys[KEYS];
static pthread_barrier_t all_set;

NOINLINE static void *get(void)
{
    void *block = malloc(BYTES);
    fill(block, BYTES);
    return block;
}

NOINLINE static void set_all(void)
{
    for (int i = 0; i < KEYS; i++)
        pthread_setspecific(keys[i], get());
}

static void *set_and_stay(void *unused)
{
    (void)unused;
    set_all();
    wipe();
    pthread_barrier_wait(&all_set);
    for (;;)
        pause();
    return NULL;
}

int main(int count, char **arguments)
{
    pthread_t thread;
    (void)count;
    pthread_barrier_init(&all_set, NULL, 2);
    for (int i = 0; i < KEYS; i++)
        REQUIRE(pthread_key_create(&keys[i], NULL) == 0);
    pthread_create(&thread, NULL, set_and_stay, NULL);
    set_all();
    pthread_barrier_wait(&all_set);
    for (int i = 0; i < KEYS && said(arguments, "delete"); i++)
        pthread_key_delete(keys[i]);
    for (int i = 0; i < KEYS && said(arguments, "again"); i++)
        REQUIRE(pthread_key_create(&keys[i], NULL) == 0);
    wipe();
    return 0;
}
