/*
 * A parent that awaits its child is known to the child alone, which resumes it at its end: as long
 * as the child can be resumed both are live.  Nobody has the child's handle: both are abandoned,
 * each with what it holds, though each leads to the other.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    C5 twin
 * EXPECT: abandoned  blocks=1 bytes=100 allocated_in=make_request suspended_in=child
 * EXPECT: abandoned  blocks=1 bytes=200 allocated_in=make_request suspended_in=parent
 * EXPECT: abandoned  blocks=1 allocated_in=child suspended_in=child mechanism=c++20
 * EXPECT: abandoned  blocks=1 allocated_in=parent suspended_in=parent mechanism=c++20
 * EXPECT: summary    coroutines.seen=2 coroutines.abandoned=2
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    C5
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=2 coroutines.suspended=2
 * EXPECT: exit       status=0
 */
#include "task.h"

GLOBAL std::coroutine_handle<> queue;

NOINLINE static task child()
{
    char *request = make_request(100);
    co_await parked{&queue};
    free(request);
}

NOINLINE static task parent()
{
    char *request = make_request(200);
    task below = child();
    co_await below;
    below.handle.destroy();
    free(request);
}

NOINLINE static void run()
{
    parent().handle.resume();
}

int main(int, char **argv)
{
    run();
    if (!said(argv, "twin"))
        queue = nullptr;
    wipe();
    return 0;
}
