/*
 * A program at a fixed address, where code names functions by their addresses instead of relative
 * to itself: coroutine frames are recognised there as well.
 *
 * FLAGS:  -fno-pie -no-pie
 *
 * RUN:    coroner run --format=json --output=report.json $CASE held
 * ROW:    C4
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request confidence=likely \
 *                    mechanism=c++20 state=completed root=queue
 * EXPECT: completed  blocks=1 allocated_in=wait_for_reply confidence=likely mechanism=c++20
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * ROW:    C2
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_reply suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    C1
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "task.h"

GLOBAL std::coroutine_handle<> queue;

NOINLINE static task wait_for_reply()
{
    char *volatile request = make_request(4096);
    co_await parked{&queue};
    request[0] = 'y';
}

NOINLINE static void run(bool ends)
{
    wait_for_reply().handle.resume();
    if (ends)
        queue.resume();
}

int main(int, char **argv)
{
    run(said(argv, "held"));
    if (said(argv, "dropped"))
        queue = nullptr;
    wipe();
    return 0;
}
