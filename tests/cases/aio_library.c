/*
 * The same through libaio, which makes its calls by libc's syscall: a read in flight holds its control
 * block and buffer, one that was taken holds nothing, and what is lost beside them is proven.
 *
 * BUILD: once
 * BUILD: with libaio.h
 * FLAGS: -laio
 * RUN:    coroner run --format=json --output=report.json $CASE
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE taken
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1 indirect_blocks=1 indirect_bytes=600 allocated_in=make_request \
 *                    confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <libaio.h>
#include <poll.h>

GLOBAL io_context_t context;

/* A control block that leads to a buffer. */
NOINLINE static struct iocb *make_request(void)
{
    struct iocb *request = calloc(1, sizeof *request);
    REQUIRE(request != NULL);
    request->data = malloc(600);
    fill(request->data, 600);
    return request;
}

NOINLINE static void make_other(void)
{
    fill(malloc(500), 500);
}

NOINLINE static void wait_begin(int fd)
{
    struct iocb *request = make_request();
    void *data = request->data;
    io_prep_poll(request, fd, POLLIN);
    request->data = data;
    REQUIRE(io_submit(context, 1, &request) == 1);
}

NOINLINE static void file_read(int fd)
{
    struct iocb *request = make_request();
    struct io_event event;
    void *data = request->data;
    io_prep_pread(request, fd, data, 600, 0);
    request->data = data;
    REQUIRE(io_submit(context, 1, &request) == 1);
    REQUIRE(io_getevents(context, 1, 1, &event, NULL) == 1);
    memset(&event, 0, sizeof event);
    request = NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    int ends[2];
    FILE *file = tmpfile();
    REQUIRE(file != NULL && pipe(ends) == 0 && io_setup(8, &context) == 0);
    if (said(argv, "taken"))
        file_read(fileno(file));
    else
        wait_begin(ends[0]);
    make_other();
    wipe();
    return 0;
}
