/*
 * A pointer in flight is found wherever it waits: behind more bytes than fit in a pipe of the usual
 * size, in a packet behind others, in a connection of the process to itself.  It is live, and the
 * program still reads all of it when its handlers run, after the mark.  What was never sent is
 * lost; what waits to be sent cannot be looked at, so a block is lost only likely then.
 *
 * BUILD: once
 * RUN:    for way in pipe-large pipe-packets socket-large socket-packets datagrams loopback; do \
 *         coroner run --format=json --output=report.json.$way $CASE $way || exit; done
 * EXPECT: none
 * EXPECT: processes  6
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loopback unsent
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_message
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE loopback slow
 * EXPECT: lost       blocks=1 bytes=345 allocated_in=make_message confidence=likely
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { BEFORE_BYTES = 100000, SLOW_BYTES = 8 * BEFORE_BYTES, PACKETS = 9 };

GLOBAL int ends[2];
GLOBAL size_t bytes_before;
GLOBAL char **arguments;

NOINLINE static char *make_message(void)
{
    char *message = malloc(345);
    fill(message, 345);
    return message;
}

/* What goes in front of the message, and in which pieces. */
static size_t before(void)
{
    if (said(arguments, "pipe-packets") || said(arguments, "socket-packets") ||
        said(arguments, "datagrams"))
        return PACKETS * 8;
    if (said(arguments, "loopback")) /* less than is on its way at once, or much more */
        return said(arguments, "slow") ? SLOW_BYTES : 8000;
    return BEFORE_BYTES;
}

NOINLINE static void message_send(void)
{
    static const char zeros[SLOW_BYTES];
    char *message = make_message();
    bytes_before = before();
    size_t piece = bytes_before == PACKETS * 8 ? 8 : bytes_before;
    if (said(arguments, "unsent"))
        return;
    for (size_t sent = 0; sent < bytes_before; sent += piece)
        REQUIRE(write(ends[1], zeros, piece) == (ssize_t)piece);
    REQUIRE(write(ends[1], &message, sizeof message) == sizeof message);
}

static void message_receive(void)
{
    char bytes[4096];
    char *message;
    for (ssize_t count; bytes_before > 0; bytes_before -= (size_t)count)
        REQUIRE((count = read(ends[0], bytes, bytes_before < 4096 ? bytes_before : 4096)) > 0);
    REQUIRE(read(ends[0], &message, sizeof message) == sizeof message && message[344] == 'x');
}

/* A connection of this process to itself. */
static void connect_self(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), room = 4 * SLOW_BYTES;
    REQUIRE(listener >= 0 && listen(listener, 1) == 0);
    REQUIRE(getsockname(listener, (struct sockaddr *)&address, &bytes) == 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ends[1] = socket(AF_INET, SOCK_STREAM, 0);
    REQUIRE(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) == 0 ||
            setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    REQUIRE(connect(ends[1], (struct sockaddr *)&address, sizeof address) == 0);
    ends[0] = accept(listener, NULL, NULL);
    REQUIRE(ends[0] >= 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    if (said(argv, "pipe-large"))
        REQUIRE(pipe(ends) == 0 && fcntl(ends[1], F_SETPIPE_SZ, 1 << 18) > 0);
    else if (said(argv, "pipe-packets"))
        REQUIRE(pipe2(ends, O_DIRECT) == 0);
    else if (said(argv, "loopback"))
        connect_self();
    else
        REQUIRE(socketpair(AF_UNIX,
                           said(argv, "datagrams")        ? SOCK_DGRAM
                           : said(argv, "socket-packets") ? SOCK_SEQPACKET
                                                          : SOCK_STREAM,
                           0, ends) == 0);
    message_send();
    if (!said(argv, "unsent"))
        atexit(message_receive);
    wipe();
    return 0;
}
