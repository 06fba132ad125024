/*
 * What a thread that has ended leaves, on a stack that glibc keeps for the next one, holds nothing:
 * its thread-local variables, the values of its keys, its frames.  A result that somebody may yet
 * fetch by pthread_join is live; one that was fetched, or of a detached thread, is not.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE variables
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE variables detached
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE variables unjoined
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE keys
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE result
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exit
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE result detached
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE result unjoined
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exit unjoined
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE result successors
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE main
 * EXPECT: lost       blocks=1 bytes=100 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE variables c11
 * EXPECT: lost       total_blocks=600 total_bytes=60000 allocated_in=get confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>
#include <sys/stat.h>
#include <threads.h>

enum { THREADS = 600, BYTES = 100, SMALL_STACK_BYTES = 64 * 1024 };

static __thread void *volatile variable;
static pthread_key_t key;
static char **words;
static pthread_barrier_t together;

NOINLINE static void *get(void)
{
    void *block = malloc(BYTES);
    fill(block, BYTES);
    return block;
}

static void *run(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&together); /* so that each has a stack of its own */
    if (said(words, "variables"))
        variable = get();
    else if (said(words, "keys"))
        pthread_setspecific(key, get());
    void *result = said(words, "result") || said(words, "exit") ? get() : NULL;
    if (said(words, "exit"))
        pthread_exit(result);
    return result;
}

static int run_c11(void *unused)
{
    run(unused);
    return 0;
}

static void *stay(void *unused)
{
    (void)unused;
    pthread_barrier_wait(&together);
    for (;;)
        pause();
    return NULL;
}

static void *end_last(void *main_thread)
{
    pthread_join((pthread_t)main_thread, NULL);
    return NULL;
}

NOINLINE static void threads_run(pthread_t *threads, void *(*function)(void *))
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, SMALL_STACK_BYTES);
    pthread_barrier_init(&together, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], &attributes, function, NULL) == 0);
    pthread_barrier_wait(&together);
}

NOINLINE static void c11_threads_run(void)
{
    thrd_t threads[THREADS];
    pthread_barrier_init(&together, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(thrd_create(&threads[i], run_c11, NULL) == thrd_success);
    pthread_barrier_wait(&together);
    for (int i = 0; i < THREADS; i++)
        thrd_join(threads[i], NULL);
}

static int threads_count(void)
{
    struct stat status;
    REQUIRE(stat("/proc/self/task", &status) == 0);
    return (int)status.st_nlink - 2;
}

int main(int count, char **arguments)
{
    static pthread_t threads[THREADS];
    (void)count;
    words = arguments;
    pthread_key_create(&key, NULL);
    if (said(arguments, "main")) {
        variable = get();
        wipe();
        pthread_create(&threads[0], NULL, end_last, (void *)pthread_self());
        pthread_exit(NULL);
    }
    if (said(arguments, "c11")) {
        c11_threads_run();
    } else {
        threads_run(threads, run);
        for (int i = 0; i < THREADS && said(arguments, "detached"); i++)
            pthread_detach(threads[i]);
        for (int i = 0; i < THREADS && !said(arguments, "detached"); i++)
            if (!said(arguments, "unjoined"))
                pthread_join(threads[i], NULL);
        while (threads_count() > 1) /* detached ones, and those that nobody joins, are over soon */
            usleep(1000);
        memset(threads, 0, sizeof threads);
        if (said(arguments, "successors"))
            threads_run(threads, stay);
    }
    wipe();
    return 0;
}
