/*
 * A thread is in the middle of a big realloc when the check runs: old block and new block are
 * both its own, and neither is a leak.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

GLOBAL pthread_barrier_t growing;

static void *grow_and_shrink(void *unused)
{
    size_t bytes = 1 << 20;
    char *volatile block = malloc(bytes);
    fill(block, bytes);
    for (unsigned round = 0;; round++) {
        bytes = round % 2 == 0 ? 24 << 20 : 1 << 20;
        block = realloc(block, bytes);
        block[bytes - 1] = 'x';
        if (round == 3)
            pthread_barrier_wait(&growing);
    }
    return unused;
}

int main(void)
{
    pthread_t thread;
    pthread_barrier_init(&growing, NULL, 3);
    for (int i = 0; i < 2; i++)
        REQUIRE(pthread_create(&thread, NULL, grow_and_shrink, NULL) == 0);
    pthread_barrier_wait(&growing);
    wipe();
    return 0;
}
