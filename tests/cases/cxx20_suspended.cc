/*
 * A C++20 coroutine that waits for a reply.  Once nobody has its handle it is abandoned, and its
 * coroutine frame is leaked with what it holds.
 *
 * In the twin a queue has the handle.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    C2
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply \
 *                    confidence=proven mechanism=c++20 state=abandoned count=1
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_reply suspended_in=wait_for_reply \
 *                    confidence=proven mechanism=c++20 state=abandoned
 * EXPECT: summary    coroutines.seen=1 coroutines.abandoned=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    C1
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --coroutines $CASE twin
 * EXPECT: stderr     /wait_for_reply.*c\+\+20|c\+\+20.*wait_for_reply/
 *
 * A coroutine that has not run yet waits as well.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE early
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_reply suspended_in=wait_for_reply \
 *                    confidence=proven mechanism=c++20
 * EXPECT: exit       status=23
 */
#include "task.h"

GLOBAL std::coroutine_handle<> queue;

NOINLINE static task wait_for_reply(size_t bytes)
{
    char *request = make_request(bytes);
    co_await parked{&queue};
    free(request);
}

NOINLINE static void run(bool early)
{
    task waiting = wait_for_reply(4096);
    if (!early)
        waiting.handle.resume();
}

int main(int, char **argv)
{
    run(said(argv, "early"));
    if (!said(argv, "twin"))
        queue = nullptr;
    wipe();
    return 0;
}
