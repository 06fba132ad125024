/*
 * --coroutines lists C++20 coroutines by function and suspension point, with what only one holds:
 * a parent's request is the parent's, although only its child's continuation leads to it; the
 * child holds its own, and the block that the parent's frame is.
 *
 * RUN:    coroner run --coroutines --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=6 coroutines.suspended=6
 * EXPECT: coroutines name=serve mechanism=c++20 state=suspended retained_bytes=3000 count=3
 * EXPECT: coroutines name=wait_for_reply mechanism=c++20 state=suspended count=3
 * EXPECT: coroutines count=6
 *
 * RUN:    coroner run --coroutines $CASE
 * EXPECT: stderr     /serve \(c\+\+20, suspended, 3 alike\)\n +frames of .*; hold 3,000 bytes, each/
 * EXPECT: stderr     /; 6 coroutines \(6 suspended\)$/
 */
#include "task.h"

enum { SERVING = 3 };

GLOBAL std::coroutine_handle<> queue[SERVING];

NOINLINE static task wait_for_reply(int i)
{
    char *request = make_request(10);
    co_await parked{&queue[i]};
    free(request);
}

NOINLINE static task serve(int i)
{
    char *request = make_request(1000);
    co_await wait_for_reply(i);
    free(request);
}

int main()
{
    for (int i = 0; i < SERVING; i++)
        serve(i).handle.resume();
    wipe();
    return 0;
}
