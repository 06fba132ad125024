/*
 * GNU Pth: a scheduler that is a coroutine itself, stacks from malloc, contexts in control blocks.
 *
 * Healthy: 20 threads, 100 yields each; 10 end and are joined (Pth frees them), 10 wait for a
 * condition that nobody signals any more.  The scheduler is one more.
 * Planted: 5 threads that ended and are never joined, so that their stacks stay, with the payload
 * still in the frame of their entry; Pth leaves a thread by a last switch.  And 5 user contexts
 * (pth_uctx) whose handles are dropped while they wait.
 *
 * FLAGS:  -lpth
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.seen=21 coroutines.suspended=11 coroutines.destroyed=10
 * EXPECT: coroutines mechanism=ucontext count=11
 *
 * RUN:    coroner run $CASE planted unjoined
 * EXPECT: lost|completed blocks=5 bytes=5000 allocated_in=payload_new
 *
 * RUN:    coroner run $CASE planted context
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new suspended_in=pth_uctx_switch \
 *                   mechanism=ucontext confidence=proven
 * EXPECT: abandoned blocks=5 allocated_in=pth_uctx_create
 * EXPECT: abandoned blocks=5 allocated_in=pth_uctx_make
 */
#include "../cases/case.h"

#include <pth.h>

enum { COROUTINES = 20, PLANTED = 5, ROUNDS = 100 };

GLOBAL pth_t threads[COROUTINES];
GLOBAL pth_mutex_t mutex = PTH_MUTEX_INIT;
GLOBAL pth_cond_t never = PTH_COND_INIT;
GLOBAL pth_uctx_t main_context;
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = malloc(1000);
    fill(payload, 1000);
    return payload;
}

static void *body(void *argument)
{
    char *volatile payload = payload_new();
    for (long i = 0; i < ROUNDS; i++) {
        total += i;
        pth_yield(NULL);
    }
    if (argument != NULL) {
        pth_mutex_acquire(&mutex, FALSE, NULL);
        pth_cond_await(&never, &mutex, NULL);
        pth_mutex_release(&mutex);
    }
    free(payload);
    return NULL;
}

NOINLINE static void work(void)
{
    for (long i = 0; i < COROUTINES; i++)
        threads[i] = pth_spawn(PTH_ATTR_DEFAULT, body, i % 2 ? NULL : &never);
    for (int i = 1; i < COROUTINES; i += 2) {
        pth_join(threads[i], NULL);
        threads[i] = NULL;
    }
    for (int i = 0; i < ROUNDS; i++)
        pth_yield(NULL);
}

static void *end_with_leftover(void *argument)
{
    LEFTOVER(char *, left);
    *left = payload_new();
    return argument;
}

static void wait_for_ever(void *argument)
{
    char *volatile payload = payload_new();
    pth_uctx_switch(*(pth_uctx_t *)argument, main_context);
    free(payload);
}

NOINLINE static void plant_unjoined(void)
{
    for (int i = 0; i < PLANTED; i++)
        threads[i] = pth_spawn(PTH_ATTR_DEFAULT, end_with_leftover, NULL);
    for (int i = 0; i < ROUNDS; i++)
        pth_yield(NULL);
}

NOINLINE static void plant_context(void)
{
    REQUIRE(pth_uctx_create(&main_context));
    for (int i = 0; i < PLANTED; i++) {
        pth_uctx_t context;
        REQUIRE(pth_uctx_create(&context));
        REQUIRE(pth_uctx_make(context, NULL, 32768, NULL, wait_for_ever, &context, main_context));
        REQUIRE(pth_uctx_switch(main_context, context));
    }
    /* Pth remembers the context it made last. */
    pth_uctx_t context;
    REQUIRE(pth_uctx_create(&context));
    REQUIRE(pth_uctx_make(context, NULL, 32768, NULL, wait_for_ever, NULL, main_context));
    REQUIRE(pth_uctx_destroy(context));
}

int main(int argc, char **argv)
{
    (void)argc;
    REQUIRE(pth_init());
    if (said(argv, "unjoined"))
        plant_unjoined();
    else if (said(argv, "context"))
        plant_context();
    else
        work();
    printf("total %ld\n", total);
    wipe();
    return 0;
}
