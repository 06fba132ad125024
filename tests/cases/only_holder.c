/*
 * Places outside globals and stacks that may be the only holder of a block, in a thread that is
 * still there when the program ends: a pthread_setspecific slot (in the first 32 and beyond), a
 * thread-local variable, the argument a thread was started with, which its function has dropped,
 * and memory that the program mapped itself.  All live.  Each lets go in its twin: lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE setspecific
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE setspecific let-go
 * EXPECT: lost       blocks=1 bytes=555 allocated_in=make_thing
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE setspecific-far
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread-local
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread-local let-go
 * EXPECT: lost       blocks=1 bytes=555 allocated_in=make_thing
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE argument
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE mapped let-go
 * EXPECT: lost       blocks=1 bytes=555 allocated_in=make_thing
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>

GLOBAL pthread_barrier_t ready;
GLOBAL pthread_key_t near_key, far_key;
GLOBAL __thread char *local;
GLOBAL char **arguments;

NOINLINE static char *make_thing(void)
{
    char *thing = malloc(555);
    fill(thing, 555);
    return thing;
}

NOINLINE static void hold(void)
{
    bool lets_go = said(arguments, "let-go");
    if (said(arguments, "setspecific")) {
        pthread_setspecific(near_key, make_thing());
        if (lets_go)
            pthread_setspecific(near_key, NULL);
    } else if (said(arguments, "setspecific-far")) {
        pthread_setspecific(far_key, make_thing());
    } else if (said(arguments, "thread-local")) {
        local = make_thing();
        if (lets_go)
            local = NULL;
    } else if (said(arguments, "mapped")) {
        char **page = mapped_stack(4096);
        page[17] = make_thing();
        if (lets_go)
            page[17] = NULL;
    }
}

static void *sit(void *argument)
{
    __asm__ volatile("" : : "r"(argument));
    argument = NULL;
    hold();
    wipe();
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return NULL;
}

NOINLINE static void start(void)
{
    pthread_t thread;
    char *argument = said(arguments, "argument") ? make_thing() : NULL;
    REQUIRE(pthread_create(&thread, NULL, sit, argument) == 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    pthread_key_create(&near_key, NULL);
    for (int i = 0; i < 100; i++)
        pthread_key_create(&far_key, NULL);
    pthread_barrier_init(&ready, NULL, 2);
    start();
    pthread_barrier_wait(&ready);
    wipe();
    return 0;
}
