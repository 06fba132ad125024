/*
 * OpenSSL's ASYNC jobs: started by setcontext, switched by _setjmp and _longjmp, kept in a pool of
 * their thread.
 *
 * Healthy: 20 jobs that pause 100 times; 10 end and go back to the pool, 10 stay paused.
 * Planted: 5 paused jobs whose handles are dropped.
 *
 * FLAGS:  -lcrypto
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.seen=20 coroutines.abandoned=0
 * EXPECT: coroutines mechanism=setjmp count=20
 *
 * RUN:    coroner run $CASE planted
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new mechanism=setjmp
 * EXPECT: abandoned total_blocks=20 mechanism=setjmp
 */
#include "../cases/case.h"

#include <openssl/async.h>

enum { COROUTINES = 20, PLANTED = 5, ROUNDS = 100 };

GLOBAL ASYNC_JOB *jobs[COROUTINES];
GLOBAL ASYNC_WAIT_CTX *wait_context;
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = malloc(1000);
    fill(payload, 1000);
    return payload;
}

static int body(void *argument)
{
    long rounds = *(long *)argument;
    char *volatile payload = payload_new();
    for (long i = 0; i < rounds; i++) {
        total += i;
        ASYNC_pause_job();
    }
    free(payload);
    return 1;
}

NOINLINE static bool resume(ASYNC_JOB **job, long rounds)
{
    int result;
    return ASYNC_start_job(job, wait_context, &result, body, &rounds, sizeof rounds) ==
           ASYNC_PAUSE;
}

NOINLINE static void work(void)
{
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < COROUTINES; i++)
            if (!resume(&jobs[i], i % 2 ? ROUNDS : 2 * ROUNDS))
                jobs[i] = NULL;
}

NOINLINE static void plant(void)
{
    for (int i = 0; i < PLANTED; i++) {
        ASYNC_JOB *job = NULL;
        REQUIRE(resume(&job, ROUNDS));
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    REQUIRE(ASYNC_init_thread(COROUTINES, 0));
    wait_context = ASYNC_WAIT_CTX_new();
    if (said(argv, "planted"))
        plant();
    else
        work();
    printf("total %ld\n", total);
    fflush(stdout);
    wipe();
    _exit(0);
}
