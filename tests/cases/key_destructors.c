/*
 * Destructors of thread-specific data run when their thread ends: what they free is not lost, what
 * they allocate and forget is, and what they allocate between coroner_disable and coroner_enable is
 * not reported.  A destructor that puts a value back is called again.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE lose
 * EXPECT: lost       blocks=1 bytes=777 allocated_in=lose
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE hidden
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE again
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>

static pthread_key_t key;
static bool loses, hides, comes_again;
static int calls;

NOINLINE static void lose(void)
{
    fill(malloc(777), 777);
}

static void end(void *value)
{
    calls++;
    if (hides)
        coroner_disable();
    if (loses)
        lose();
    if (hides)
        coroner_enable();
    free(value);
    if (comes_again && calls < 3)
        pthread_setspecific(key, malloc(55));
}

static void *work(void *unused)
{
    pthread_setspecific(key, malloc(333));
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    (void)argc;
    hides = said(argv, "hidden");
    loses = said(argv, "lose") || hides;
    comes_again = said(argv, "again");
    REQUIRE(pthread_key_create(&key, end) == 0);
    REQUIRE(pthread_create(&thread, NULL, work, NULL) == 0);
    pthread_join(thread, NULL);
    REQUIRE(calls == (comes_again ? 3 : 1));
    wipe();
    return 0;
}
