/*
 * What was submitted by io_submit(2) and not yet taken is known by watching it, and struck off when its
 * event shows in the ring, whoever takes it: the call, or the program, which may read the ring itself.
 * So a request in flight holds what its event will bring, and another leak beside it is proven.
 *
 * Calls by the program's own instructions are not seen: what only such a request could hold is at
 * most likely to be lost.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ready
 * NEEDS:  $CASE ready # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ready taken
 * NEEDS:  $CASE ready # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ready read
 * NEEDS:  $CASE ready # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE refused
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE many
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1000 bytes=400000 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE unseen
 * NEEDS:  $CASE # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=likely
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE unseen mixed
 * NEEDS:  $CASE ready # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=likely
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE destroyed
 * NEEDS:  $CASE destroyed # this kernel has no IOCB_CMD_POLL
 * EXPECT: lost       blocks=1 bytes=500 allocated_in=make_other confidence=proven
 * EXPECT: lost       blocks=1 bytes=400 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <errno.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <sys/syscall.h>

static bool is_unseen;

/* A call that nobody can watch, or one like those of libaio. */
static long call(long number, long a, long b, long c, long d, long e)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    long result;
    if (!is_unseen)
        return syscall(number, a, b, c, d, e);
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}

NOINLINE static char *make_operation(void)
{
    char *operation = malloc(400);
    fill(operation, 400);
    return operation;
}

NOINLINE static void make_other(void)
{
    fill(malloc(500), 500);
}

/* The second one, if it is asked for, is none that the kernel takes. */
NOINLINE static void submit(aio_context_t context, int fd, bool is_refused)
{
    struct iocb good, bad;
    struct iocb *requests[] = {&good, &bad};
    memset(&good, 0, sizeof good);
    good.aio_lio_opcode = IOCB_CMD_POLL;
    good.aio_fildes = (unsigned)fd;
    good.aio_buf = POLLIN;
    good.aio_data = is_refused ? 0 : (uintptr_t)make_operation();
    bad = good;
    bad.aio_lio_opcode = 999;
    bad.aio_data = is_refused ? (uintptr_t)make_operation() : 0;
    REQUIRE(call(SYS_io_submit, (long)context, 1 + is_refused, (long)requests, 0, 0) == 1);
}

/* As the call does it, without the call. */
NOINLINE static void event_read(aio_context_t context)
{
    struct ring {
        unsigned id, events, head, tail;
    } *ring = (struct ring *)context;
    while (__atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE) == ring->head)
        usleep(1000);
    __atomic_store_n(&ring->head, (ring->head + 1) % ring->events, __ATOMIC_RELEASE);
}

NOINLINE static void event_take(aio_context_t context)
{
    struct io_event event;
    REQUIRE(call(SYS_io_getevents, (long)context, 1, 1, (long)&event, 0) == 1);
}

int main(int argc, char **argv)
{
    (void)argc;
    int ends[2];
    aio_context_t context = 0;
    REQUIRE(pipe(ends) == 0);
    is_unseen = said(argv, "unseen") && !said(argv, "mixed");
    REQUIRE(call(SYS_io_setup, 8, (long)&context, 0, 0, 0) == 0);
    is_unseen = said(argv, "unseen");
    if (said(argv, "ready") || said(argv, "many"))
        REQUIRE(write(ends[1], "x", 1) == 1);
    for (int i = 0; said(argv, "many") && i < 1000; i++) {
        submit(context, ends[0], false);
        if (i % 2 == 0)
            event_read(context);
        else
            event_take(context);
    }
    if (!said(argv, "many"))
        submit(context, ends[0], said(argv, "refused"));
    if (said(argv, "taken"))
        event_take(context);
    if (said(argv, "read"))
        event_read(context);
    if (said(argv, "destroyed")) {
        REQUIRE(write(ends[1], "x", 1) == 1);
        REQUIRE(call(SYS_io_destroy, (long)context, 0, 0, 0, 0) == 0);
    }
    /* A pointer that is none is the kernel's to refuse. */
    errno = 0;
    REQUIRE(said(argv, "unseen") || said(argv, "destroyed") ||
            (syscall(SYS_io_submit, context, 1, (void *)16) == -1 && errno == EFAULT));
    make_other();
    wipe();
    return 0;
}
