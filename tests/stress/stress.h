#ifndef STRESS_H
#define STRESS_H
/*
 * What the stress programs share: threads that do the same at the same time.
 *
 * Each program works on one structure of the runtime from several threads, under ThreadSanitizer,
 * and checks afterwards that nothing was lost and nothing is there twice.  TSan reports what is
 * not ordered by atomics; the facts say what order alone does not give.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { STRESS_THREADS = 4 };

#define STRESS_REQUIRE(condition)                                                   \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

struct stress_part {
    void (*work)(unsigned thread);
    unsigned thread;
    pthread_barrier_t *start;
};

static void *stress_part_run(void *argument)
{
    struct stress_part *part = argument;
    pthread_barrier_wait(part->start);
    part->work(part->thread);
    return NULL;
}

/* Runs work(0) to work(STRESS_THREADS - 1), all at once, to their ends. */
static inline void stress_run(void (*work)(unsigned thread))
{
    pthread_t threads[STRESS_THREADS];
    struct stress_part parts[STRESS_THREADS];
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, STRESS_THREADS);
    for (unsigned i = 0; i < STRESS_THREADS; i++) {
        parts[i] = (struct stress_part){work, i, &start};
        STRESS_REQUIRE(pthread_create(&threads[i], NULL, stress_part_run, &parts[i]) == 0);
    }
    for (unsigned i = 0; i < STRESS_THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&start);
}

/* A random number in [0, bound) (splitmix64, Sebastiano Vigna). */
static inline unsigned stress_random(uint64_t *state, unsigned bound)
{
    uint64_t value = (*state += 0x9e3779b97f4a7c15u);
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((value ^ value >> 31) >> 33) % bound;
}

#endif
