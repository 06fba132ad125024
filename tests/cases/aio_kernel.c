/*
 * A request of io_submit(2) in flight is known to the kernel alone, which does not tell: what only
 * it could hold is at most likely to be lost.  Its event, when it has come and was not taken,
 * holds it.  Once the context is destroyed nothing does.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ready
 * NEEDS:  $CASE ready # this kernel has no IOCB_CMD_POLL
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE destroyed
 * NEEDS:  $CASE destroyed # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>

NOINLINE static char *make_operation(void)
{
    char *operation = malloc(400);
    fill(operation, 400);
    return operation;
}

NOINLINE static void submit(aio_context_t context, int fd)
{
    struct iocb request;
    struct iocb *requests[] = {&request};
    memset(&request, 0, sizeof request);
    request.aio_lio_opcode = IOCB_CMD_POLL;
    request.aio_fildes = (unsigned)fd;
    request.aio_buf = POLLIN;
    request.aio_data = (uintptr_t)make_operation();
    REQUIRE(syscall(SYS_io_submit, context, 1, requests) == 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    int ends[2];
    aio_context_t context = 0;
    REQUIRE(pipe(ends) == 0);
    REQUIRE(syscall(SYS_io_setup, 8, &context) == 0);
    if (said(argv, "ready"))
        REQUIRE(write(ends[1], "x", 1) == 1);
    submit(context, ends[0]);
    if (said(argv, "destroyed")) {
        REQUIRE(write(ends[1], "x", 1) == 1);
        REQUIRE(syscall(SYS_io_destroy, context) == 0);
    }
    wipe();
    return 0;
}
