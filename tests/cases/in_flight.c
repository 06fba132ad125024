/*
 * A pointer in flight in a pipe or a Unix socket is held by the kernel alone, and will be read out
 * again: its block is live, and what waits is still there afterwards.  The twin has read it out.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE pipe
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pipe twin
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_message
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE socket
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE socket twin
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_message
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/socket.h>

NOINLINE static char *make_message(void)
{
    char *message = malloc(345);
    fill(message, 345);
    return message;
}

NOINLINE static void message_send(int end)
{
    char *message = make_message();
    REQUIRE(write(end, "odd", 3) == 3);
    REQUIRE(write(end, &message, sizeof message) == sizeof message);
}

NOINLINE static void message_forget(int end)
{
    char bytes[64];
    REQUIRE(read(end, bytes, sizeof bytes) == 3 + sizeof(char *));
}

int main(int argc, char **argv)
{
    (void)argc;
    int ends[2];
    if (said(argv, "pipe"))
        REQUIRE(pipe(ends) == 0);
    else
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    message_send(ends[1]);
    if (said(argv, "twin"))
        message_forget(ends[0]);
    wipe();
    return 0;
}
