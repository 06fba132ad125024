/*
 * A program that ignores SIGCHLD has no children to wait for; a plain preload still learns how
 * its renderer ended.  And signal() heeds siginterrupt().
 *
 * BUILD: once
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout       read: interrupted
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void nothing(int signal)
{
    (void)signal;
}

#pragma GCC diagnostic ignored "-Wdeprecated-declarations" /* siginterrupt */
int main(void)
{
    int ends[2];
    char byte;
    signal(SIGCHLD, SIG_IGN);
    siginterrupt(SIGALRM, 1);
    signal(SIGALRM, nothing);
    if (pipe(ends) != 0)
        return 1;
    ualarm(100000, 0);
    if (read(ends[0], &byte, 1) < 0 && errno == EINTR)
        puts("read: interrupted");
    return 0;
}
