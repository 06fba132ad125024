/*
 * What a thread was started with is held for it until it has ended, and no longer.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=start
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>
#include <unistd.h>

static void *drop(void *argument)
{
    (void)argument;
    return NULL;
}

static void *stay(void *argument)
{
    (void)argument;
    for (;;)
        pause();
    return NULL;
}

NOINLINE static pthread_t start(void *(*function)(void *))
{
    pthread_t thread;
    char *argument = malloc(500);
    fill(argument, 500);
    pthread_create(&thread, NULL, function, argument);
    return thread;
}

int main(int count, char **arguments)
{
    (void)count;
    bool is_twin = said(arguments, "twin");
    pthread_t thread = start(is_twin ? stay : drop);
    if (!is_twin)
        pthread_join(thread, NULL);
    wipe();
    return 0;
}
