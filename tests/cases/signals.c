/*
 * SIGINT, SIGTERM and SIGHUP with their default disposition get one mark; then the program dies of
 * the signal as it would have.  With a leak `coroner run` exits 23, without one 128 + the signal.
 * A signal that the program ignores (nohup) or handles is the program's own, and sigaction shows
 * it nothing of ours.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 15 lose
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_order
 * EXPECT: process    exit.signal=15 exit.code=null
 * EXPECT: stdout     shown as default
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 15
 * EXPECT: none
 * EXPECT: process    exit.signal=15 exit.code=null
 * EXPECT: exit       status=143
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 2 lose
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_order
 * EXPECT: process    exit.signal=2
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 2
 * EXPECT: none
 * EXPECT: exit       status=130
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 1
 * EXPECT: none
 * EXPECT: exit       status=129
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 15 in-malloc
 * EXPECT: none
 * EXPECT: exit       status=143
 *
 * RUN:    trap '' HUP; coroner run --format=json --output=report.json $CASE 1
 * EXPECT: none
 * EXPECT: stdout     /^shown as ignored\nsurvived$/
 * EXPECT: exit       status=6
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 15 handle
 * EXPECT: none
 * EXPECT: stdout     /^shown as default\nhandled\nsurvived$/
 * EXPECT: exit       status=6
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 15 handle reset
 * EXPECT: none
 * EXPECT: exit       status=143
 */
#include "case.h"

#include <pthread.h>

GLOBAL char *kept;
GLOBAL volatile sig_atomic_t handled;

NOINLINE static char *make_order(void)
{
    char *order = malloc(345);
    fill(order, 345);
    return order;
}

static void handle(int number)
{
    (void)number;
    handled = 1;
}

static void show(int number)
{
    struct sigaction action;
    REQUIRE(sigaction(number, NULL, &action) == 0);
    puts(action.sa_handler == SIG_DFL   ? "shown as default"
         : action.sa_handler == SIG_IGN ? "shown as ignored"
                                        : "shown as handled");
    REQUIRE(action.sa_handler != SIG_DFL || action.sa_flags == 0);
    fflush(stdout);
}

static void *send_later(void *number)
{
    usleep(20000);
    kill(getpid(), (int)(intptr_t)number);
    return NULL;
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    int number = atoi(argv[1]);
    pthread_t thread;
    kept = make_order();
    if (said(argv, "lose"))
        kept = NULL;
    show(number);
    if (said(argv, "handle"))
        REQUIRE(signal(number, handle) == SIG_DFL);
    if (said(argv, "reset"))
        REQUIRE(signal(number, SIG_DFL) == handle);
    wipe();
    if (said(argv, "in-malloc")) {
        pthread_create(&thread, NULL, send_later, (void *)(intptr_t)number);
        for (;;) {
            char *volatile block = malloc(100);
            block = realloc(block, 100000);
            free(block);
        }
    }
    raise(number);
    if (handled)
        puts("handled");
    puts("survived");
    return 6;
}
