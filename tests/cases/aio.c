/*
 * A POSIX AIO request in flight is in libc's list, which holds its control block, and that what
 * belongs to it: live.  A control block that was never handed over is lost, and what it holds.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE unused
 * EXPECT: lost       blocks=1 indirect_blocks=1 indirect_bytes=600 allocated_in=make_request
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <aio.h>

NOINLINE static struct aiocb *make_request(int fd)
{
    struct aiocb *request = calloc(1, sizeof *request);
    request->aio_fildes = fd;
    request->aio_buf = malloc(600);
    request->aio_nbytes = 600;
    fill((void *)request->aio_buf, 600);
    return request;
}

NOINLINE static void start(int fd, bool is_used)
{
    struct aiocb *request = make_request(fd);
    REQUIRE(!is_used || aio_read(request) == 0);
}

int main(int argc, char **argv)
{
    (void)argc;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    start(ends[0], !said(argv, "unused"));
    wipe();
    return 0;
}
