/*
 * A check may meet threads that are just being born, on a stack of their own, of the program's, or
 * one that a thread before them had: what only they hold is live.  So is what memory holds that was
 * a thread's stack, once the program uses it for something else.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pthread
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE c11
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE memory
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>
#include <threads.h>

enum { ROUNDS = 40, THREADS = 10 };

static void *release(void *block)
{
    free(block);
    return NULL;
}

static int release_c11(void *block)
{
    free(block);
    return 0;
}

static void check(void)
{
    struct coroner_summary summary;
    coroner_check(0, &summary);
    REQUIRE(summary.leaked_blocks == 0);
}

static void pthread_round(void)
{
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, release, malloc(123)) == 0);
        check();
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void c11_round(void)
{
    thrd_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        REQUIRE(thrd_create(&threads[i], release_c11, malloc(123)) == thrd_success);
        check();
    }
    for (int i = 0; i < THREADS; i++)
        thrd_join(threads[i], NULL);
}

/* A thread runs in the memory; then it holds the only pointer to a block. */
static void memory_use(void)
{
    pthread_t thread;
    pthread_attr_t attributes;
    void **memory = mapped_stack(4 * STACK_BYTES);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory, 4 * STACK_BYTES);
    REQUIRE(pthread_create(&thread, &attributes, release, malloc(123)) == 0);
    pthread_join(thread, NULL);
    memory[1000] = malloc(321);
    wipe();
    check();
}

int main(int count, char **arguments)
{
    (void)count;
    if (said(arguments, "memory"))
        memory_use();
    for (int i = 0; i < ROUNDS; i++) {
        if (said(arguments, "pthread"))
            pthread_round();
        else if (said(arguments, "c11"))
            c11_round();
    }
    return 0;
}
