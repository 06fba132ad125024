/*
 * A thread that blocks every signal is still seen: what only its stack holds is live, and no
 * thread counts as unseen.  Once it has let go, the block is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE let-go
 * EXPECT: lost       blocks=1 bytes=777 allocated_in=make_secret
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>

GLOBAL pthread_barrier_t blocked;
GLOBAL bool lets_go;

NOINLINE static char *make_secret(void)
{
    char *secret = malloc(777);
    fill(secret, 777);
    return secret;
}

static void *sit(void *unused)
{
    sigset_t all;
    char *volatile secret = make_secret();
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    if (lets_go)
        secret = NULL;
    wipe();
    pthread_barrier_wait(&blocked);
    for (;;)
        if (secret != NULL)
            secret[0] ^= 1;
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    pthread_t thread;
    lets_go = said(argv, "let-go");
    pthread_barrier_init(&blocked, NULL, 2);
    REQUIRE(pthread_create(&thread, NULL, sit, NULL) == 0);
    pthread_barrier_wait(&blocked);
    wipe();
    return 0;
}
