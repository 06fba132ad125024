/*
 * The kernel makes threads of its own for io_uring, which look like the program's but run none of
 * its code: they need not be stopped, and what is lost is proven to be.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * NEEDS:  $CASE # io_uring is not allowed here
 * EXPECT: lost       blocks=1 bytes=222 allocated_in=lose confidence=proven
 * EXPECT: summary    unseen_threads=0
 * EXPECT: exit       status=23
 */
#include "case.h"
#include "uring.h"

#include <fcntl.h>

NOINLINE static void lose(void)
{
    fill(malloc(222), 222);
}

int main(int argc, char **argv)
{
    struct uring ring;
    (void)argc;
    (void)argv;
    int file = open("/proc/self/exe", O_RDONLY);
    uring_open(&ring, 0);
    struct io_uring_sqe *entry = (struct io_uring_sqe *)ring.entries;
    entry->opcode = IORING_OP_FSYNC;
    entry->flags = IOSQE_ASYNC;
    entry->fd = file;
    uring_submit(&ring, 0);
    uring_take(&ring);
    lose();
    wipe();
    return 0;
}
