/*
 * Three tasks, each to be resumed by the one before it, and nobody outside who could resume one of
 * them: all are abandoned, each frame in its own right.
 *
 * In the twin a queue has the handle of one, and so all are live.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    C6
 * EXPECT: abandoned  blocks=3 bytes=300 allocated_in=make_request suspended_in=member \
 *                    confidence=proven
 * EXPECT: abandoned  blocks=3 allocated_in=member suspended_in=member confidence=proven \
 *                    mechanism=c++20
 * EXPECT: summary    coroutines.seen=3 coroutines.abandoned=3
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    C6 twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=3 coroutines.suspended=3
 * EXPECT: exit       status=0
 */
#include "task.h"

GLOBAL std::coroutine_handle<> queue;

NOINLINE static task member()
{
    char *request = make_request(100);
    co_await parked{&queue};
    free(request);
}

NOINLINE static void run()
{
    task ring[3] = {member(), member(), member()};
    for (int i = 0; i < 3; i++)
        ring[i].handle.promise().awaiting = ring[(i + 1) % 3].handle;
    for (task &one : ring)
        one.handle.resume();
}

int main(int, char **argv)
{
    run();
    if (!said(argv, "twin"))
        queue = nullptr;
    wipe();
    return 0;
}
