/*
 * struct epoll_event is packed, so its pointer lies at an odd multiple of four.  On the stack of a
 * suspended coroutine it may be the only holder of a block: live.  Cleared, the block is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE cleared
 * EXPECT: lost       blocks=1 bytes=1100 allocated_in=make_connection
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/epoll.h>

struct loop {
    ucontext_t context;
    bool clears;
};

GLOBAL struct loop *loop;
GLOBAL ucontext_t scheduler;

NOINLINE static char *make_connection(void)
{
    char *connection = malloc(1100);
    fill(connection, 1100);
    return connection;
}

NOINLINE static void note(struct epoll_event *event)
{
    event->data.ptr = make_connection();
}

static void poll_events(void *argument)
{
    struct loop *self = argument;
    _Alignas(8) struct epoll_event events[3];
    memset(events, 0, sizeof events);
    for (int i = 0; i < 3; i++)
        if ((uintptr_t)&events[i].data % 8 == 4) {
            note(&events[i]);
            break;
        }
    if (self->clears)
        memset(events, 0, sizeof events);
    wipe_stack();
    wipe_registers();
    __asm__ volatile("" : : "r"(events) : "memory");
    swapcontext(&loop->context, &scheduler);
    __asm__ volatile("" : : "r"(events) : "memory");
}

NOINLINE static void run(bool clears)
{
    enum { BYTES = 1 << 18 }; /* room for wipe_stack */
    loop = calloc(1, sizeof *loop);
    loop->clears = clears;
    coroutine_make(&loop->context, heap_stack(BYTES), BYTES, &scheduler, poll_events, loop);
    swapcontext(&scheduler, &loop->context);
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "cleared"));
    wipe();
    return 0;
}
