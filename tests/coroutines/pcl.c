/*
 * libpcl: the ucontext_t lies at the low end of the block that is the stack, too.
 *
 * Healthy: 20 coroutines, 100 switches each way; 10 end (libpcl frees them at once), 10 wait for
 * more.  libpcl makes one of its own to free the others from, on a stack inside its globals.
 * Planted: 5 whose handles are dropped while they wait; each holds a payload.
 *
 * FLAGS:  -lpcl
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.seen=21 coroutines.suspended=11 coroutines.destroyed=10
 * EXPECT: coroutines mechanism=ucontext count=11
 *
 * RUN:    coroner run $CASE planted
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new suspended_in=co_call \
 *                   mechanism=ucontext confidence=proven
 * EXPECT: abandoned blocks=5 allocated_in=co_create
 */
#include "../cases/case.h"

#include <pcl.h>

enum { COROUTINES = 20, PLANTED = 5, ROUNDS = 100 };

GLOBAL coroutine_t coroutines[COROUTINES];
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = malloc(1000);
    fill(payload, 1000);
    return payload;
}

static void body(void *argument)
{
    long rounds = (long)argument;
    char *volatile payload = payload_new();
    for (long i = 0; i < rounds; i++) {
        total += i;
        co_resume();
    }
    free(payload);
}

NOINLINE static void work(void)
{
    for (int i = 0; i < COROUTINES; i++)
        coroutines[i] = co_create(body, (void *)(long)(i % 2 ? ROUNDS : 2 * ROUNDS), NULL, 32768);
    for (int round = 0; round <= ROUNDS; round++)
        for (int i = 0; i < COROUTINES; i++)
            co_call(coroutines[i]);
    for (int i = 1; i < COROUTINES; i += 2)
        coroutines[i] = NULL;
}

NOINLINE static void plant(void)
{
    for (int i = 0; i < PLANTED; i++)
        co_call(co_create(body, (void *)ROUNDS, NULL, 32768));
    /* libpcl remembers who called main last: let that be one that ends. */
    co_call(co_create(body, NULL, NULL, 32768));
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "planted"))
        plant();
    else
        work();
    printf("total %ld\n", total);
    wipe();
    return 0;
}
