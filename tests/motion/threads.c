/*
 * Threads that begin and end all the time, joined and detached: each owns its argument, holds
 * blocks in thread-local variables, in keys and on its stack, and hands over a result.
 */
#include "motion.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>
#include <unistd.h>

enum { GROUP = 12, BYTES = 200 };

static pthread_key_t key;
static __thread char *local;
static atomic_int detached;

static char *block_make(int mark)
{
    char *block = malloc(BYTES);
    memset(block, mark, BYTES);
    return block;
}

static void block_end(void *block)
{
    MOTION_REQUIRE(((char *)block)[BYTES - 1] == ((char *)block)[0]);
    free(block);
}

static void *work(void *argument)
{
    char *volatile own = block_make('o');
    local = block_make('l');
    pthread_setspecific(key, block_make('k'));
    for (unsigned i = 0; i < 20; i++) {
        char *volatile passing = block_make('p');
        block_end(passing);
    }
    if (*(char *)argument % 2 != 0)
        sched_yield();
    block_end(own);
    block_end(local);
    local = NULL;
    return argument; /* the result */
}

static void *work_alone(void *argument)
{
    block_end(work(argument));
    detached--;
    return NULL;
}

static int work_of_c11(void *argument)
{
    block_end(work(argument));
    return 7;
}

static void group_run(unsigned long *random)
{
    pthread_t joined[GROUP];
    thrd_t of_c11;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 32768 + 4096 * motion_random(random, 20));
    for (int i = 0; i < GROUP; i++) {
        pthread_t alone;
        MOTION_REQUIRE(pthread_create(&joined[i], NULL, work, block_make('a' + i)) == 0);
        if (detached < 50) {
            detached++;
            MOTION_REQUIRE(pthread_create(&alone, &attributes, work_alone, block_make('A' + i)) ==
                           0);
        }
    }
    pthread_attr_destroy(&attributes);
    MOTION_REQUIRE(thrd_create(&of_c11, work_of_c11, block_make('z')) == thrd_success);
    for (int i = 0; i < GROUP; i++) {
        void *result = NULL;
        MOTION_REQUIRE(pthread_join(joined[i], &result) == 0);
        MOTION_REQUIRE(*(char *)result == 'a' + i);
        block_end(result);
    }
    int code = 0;
    MOTION_REQUIRE(thrd_join(of_c11, &code) == thrd_success && code == 7);
}

int main(int argc, char **argv)
{
    unsigned long random = 5;
    pthread_key_create(&key, block_end);
    motion_begin(argc, argv);
    while (motion_goes_on())
        group_run(&random);
    while (detached > 0)
        usleep(1000);
    motion_wipe();
    exit(motion_end("all threads gave their results"));
}
