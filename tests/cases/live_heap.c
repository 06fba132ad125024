/*
 * --live reports the heap that is not leaked, by allocation stack: exactly how much, how old, and
 * who holds it.  What has just begun does not tell whether it grows.
 *
 * RUN:    coroner run --live --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=10 bytes=1000 allocated_in=forget
 * EXPECT: live       allocated_in=session_new blocks=2000 bytes=96000 shape=unknown root=sessions
 * EXPECT: live       allocated_in=table_new blocks=1 bytes=3000000 shape=unknown root=table steps=2
 * EXPECT: live       allocated_in=forget blocks=0
 * EXPECT: exit       status=23
 *
 * With samples it says how much they stand for; without stacks it is one row.
 *
 * RUN:    coroner run --live --stacks=sampled=1024 --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=10 bytes=1000
 * EXPECT: exit       status=23
 * EXPECT: live       allocated_in=session_new estimated_bytes=60000..140000
 * EXPECT: live       allocated_in=table_new blocks=1 estimated_blocks=1
 *
 * RUN:    coroner run --live --stacks=off --format=json --output=report.json $CASE
 * EXPECT: live       allocated_in=null blocks=2001..2200 bytes=3096000..3300000
 * EXPECT: lost       blocks=10 bytes=1000
 * EXPECT: exit       status=23
 * EXPECT: live       allocated_in=session_new blocks=0
 *
 * Nothing of it stands in a report that was not asked for it.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=10 bytes=1000
 * EXPECT: exit       status=23
 * EXPECT: process    memory=null
 */
#include <stdlib.h>
#include <string.h>

#include "case.h"

struct session {
    struct session *next;
    char text[40];
};

struct session **sessions;
char *table;

NOINLINE static void session_new(unsigned at)
{
    sessions[at % 100] =
        memcpy(malloc(sizeof(struct session)), &(struct session){.next = sessions[at % 100]},
               sizeof(struct session));
}

NOINLINE static void table_new(void)
{
    table = malloc(3000000);
}

NOINLINE static void forget(void)
{
    for (int i = 0; i < 10; i++)
        *(volatile char *)malloc(100) = 1;
}

int main(void)
{
    sessions = calloc(100, sizeof *sessions);
    table_new();
    for (unsigned i = 0; i < 2000; i++)
        session_new(i);
    forget();
    wipe();
    return 0;
}
