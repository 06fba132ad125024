/*
 * A malloc/free pair on four threads at once (or as many as the argument says), half of the blocks
 * freed by another thread than made them.  Two blocks of three go through a table that all share,
 * where three of four are taken out by somebody else; the third goes through a table of the
 * thread's own.
 *
 * The figure is the time from the first start to the last end, divided by the pairs of all.
 */
#include "bench.h"

#include <pthread.h>

enum { THREADS_MAX = 64, SLOTS = 1 << 14, OWN_SLOTS = SLOTS / 4, SMALLEST = 16, LARGEST = 256 };

static void *shared[SLOTS];

struct worker {
    pthread_t thread;
    size_t count;
    uint64_t dice;
    void *own[OWN_SLOTS];
};
static struct worker workers[THREADS_MAX];
static int threads = 4;

static void *work(void *argument)
{
    struct worker *self = argument;
    for (size_t i = 0; i < self->count; i++) {
        void *block = malloc(SMALLEST + roll_below(&self->dice, LARGEST - SMALLEST + 1));
        void *old;
        if (i % 3 != 0) {
            void **slot = &shared[roll_below(&self->dice, SLOTS)];
            old = __atomic_exchange_n(slot, block, __ATOMIC_ACQ_REL);
        } else {
            void **slot = &self->own[roll_below(&self->dice, OWN_SLOTS)];
            old = *slot;
            *slot = block;
        }
        free(old);
    }
    return NULL;
}

static void all_work(size_t count)
{
    for (int i = 0; i < threads; i++) {
        workers[i].count = count / (size_t)threads;
        workers[i].dice = 88172645463325252u + (uint64_t)i;
        REQUIRE(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (int i = 0; i < threads; i++)
        REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        threads = atoi(argv[1]);
    REQUIRE(threads >= 1 && threads <= THREADS_MAX);
    measure("threads", all_work, 1000000, 4000000);
    return 0;
}
