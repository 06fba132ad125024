/*
 * Sixteen threads allocate and free while the check runs: what they hold in frames, in registers
 * and inside the allocator is live.  A block that main lost before is reported all the same.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE lose
 * EXPECT: lost       blocks=1 bytes=321 allocated_in=make_table
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>

enum { THREADS = 16, SLOTS = 32 };

GLOBAL pthread_barrier_t everybody_allocates;

NOINLINE static char *make_table(void)
{
    char *table = malloc(321);
    fill(table, 321);
    return table;
}

static void *churn(void *argument)
{
    char *volatile slots[SLOTS] = {NULL};
    unsigned seed = (unsigned)(uintptr_t)argument;
    for (unsigned long round = 0;; round++) {
        unsigned slot = (seed = seed * 1103515245 + 12345) / 65536 % SLOTS;
        size_t bytes = 1 + seed / 7 % (round % 64 == 0 ? 300000 : 600);
        free(slots[slot]);
        slots[slot] = NULL;
        char *block = malloc(bytes);
        block[0] = 'x';
        slots[slot] = block;
        if (round % 8 == 0)
            slots[slot] = realloc(slots[slot], bytes * 2);
        if (round == 200)
            pthread_barrier_wait(&everybody_allocates);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    pthread_t thread;
    pthread_barrier_init(&everybody_allocates, NULL, THREADS + 1);
    if (said(argv, "lose"))
        make_table();
    for (uintptr_t i = 1; i <= THREADS; i++)
        REQUIRE(pthread_create(&thread, NULL, churn, (void *)i) == 0);
    pthread_barrier_wait(&everybody_allocates);
    wipe();
    return 0;
}
