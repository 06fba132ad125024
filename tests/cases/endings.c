/*
 * However a program ends on purpose, it is checked, and its own status stands when nothing is
 * proven to leak.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE return lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE return
 * EXPECT: none
 * EXPECT: exit       status=4
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exit lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE _exit lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE _exit
 * EXPECT: none
 * EXPECT: exit       status=4
 *
 * RUN:    coroner run --format=json --output=report.json $CASE quick_exit lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE thread
 * EXPECT: none
 * EXPECT: exit       status=4
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pthread_exit lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pthread_exit
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE return lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: exit       status=4
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=9 $CASE return lose
 * EXPECT: lost       blocks=1 bytes=234 allocated_in=make_ticket
 * EXPECT: process    exit.code=4 exit.signal=null
 * EXPECT: exit       status=9
 */
#include "case.h"

#include <pthread.h>

GLOBAL char *ticket_of_main;

NOINLINE static char *make_ticket(void)
{
    char *ticket = malloc(234);
    fill(ticket, 234);
    return ticket;
}

static void *end_here(void *unused)
{
    wipe();
    exit(4);
    return unused;
}

static void *end_after_main(void *main_thread)
{
    pthread_join(*(pthread_t *)main_thread, NULL);
    wipe();
    return NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    static pthread_t self;
    pthread_t thread;
    ticket_of_main = make_ticket();
    if (said(argv, "lose"))
        ticket_of_main = NULL;
    wipe();
    if (said(argv, "exit"))
        exit(4);
    if (said(argv, "_exit"))
        _exit(4);
    if (said(argv, "quick_exit"))
        quick_exit(4);
    if (said(argv, "thread")) {
        pthread_create(&thread, NULL, end_here, NULL);
        pthread_join(thread, NULL);
    }
    if (said(argv, "pthread_exit")) {
        self = pthread_self();
        pthread_create(&thread, NULL, end_after_main, &self);
        pthread_detach(thread);
        wipe();
        pthread_exit(NULL);
    }
    return 4;
}
