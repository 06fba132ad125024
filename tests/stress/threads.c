/*
 * Records of threads: each thread has one of its own while it lives, records of ended ones are used
 * again, and counts are handed in whole.
 */
#include "stress.h"

#include "coro/thread.h"

enum { GENERATIONS = 120, COUNTED = 3 };

static void *live(void *unused)
{
    struct crn_thread *self = crn_thread_attach(0, 0);
    STRESS_REQUIRE(self != NULL && self == crn_self && self->state == CRN_THREAD_ALIVE);
    int tid = self->tid;
    self->counts.allocations += COUNTED;
    for (unsigned i = 0; i < 100; i++)
        STRESS_REQUIRE(self->tid == tid);
    crn_thread_note_ending(self);
    return unused;
}

static void make_threads(unsigned thread)
{
    (void)thread;
    for (unsigned i = 0; i < GENERATIONS; i++) {
        pthread_t child;
        STRESS_REQUIRE(pthread_create(&child, NULL, live, NULL) == 0);
        pthread_join(child, NULL);
    }
}

int main(void)
{
    STRESS_REQUIRE(crn_threads_init());
    stress_run(make_threads);
    STRESS_REQUIRE(crn_heap.allocations == COUNTED * STRESS_THREADS * GENERATIONS);
    STRESS_REQUIRE(crn_threads_count() < STRESS_THREADS * GENERATIONS);
    return 0;
}
