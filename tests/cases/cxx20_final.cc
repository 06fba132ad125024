/*
 * A C++20 coroutine at its final suspension point that nobody destroys.  What it left is completed:
 * only likely so while somebody has the handle, who may still destroy it; else proven.
 *
 * In the twins it is destroyed.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE held
 * ROW:    C4
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request confidence=likely \
 *                    mechanism=c++20 state=completed root=jobs
 * EXPECT: completed  blocks=1 allocated_in=do_job confidence=likely mechanism=c++20 root=jobs
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --strict $CASE held
 * EXPECT: completed  blocks=2 confidence=likely
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE held twin
 * ROW:    C4 twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * ROW:    C7
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request confidence=proven \
 *                    mechanism=c++20 state=completed
 * EXPECT: completed  blocks=1 allocated_in=do_job confidence=proven mechanism=c++20
 * EXPECT: summary    coroutines.seen=1 coroutines.completed=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped twin
 * ROW:    C7 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * A coroutine with nothing in it ends as well.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE empty
 * EXPECT: completed  blocks=1 allocated_in=do_nothing confidence=likely mechanism=c++20 root=jobs
 * EXPECT: exit       status=0
 */
#include "task.h"

struct list {
    std::coroutine_handle<> handle;
};

GLOBAL std::coroutine_handle<> queue;
GLOBAL list *jobs;

/* Unless it mends that, it forgets its request, whose address stays in the frame. */
NOINLINE static task do_job(bool mends)
{
    char *volatile request = make_request(4096);
    co_await parked{&queue};
    request[0] = 'y';
    if (mends)
        free(request);
}

NOINLINE static task do_nothing()
{
    co_return;
}

NOINLINE static void run(bool empty, bool mends)
{
    task job = empty ? do_nothing() : do_job(mends);
    job.handle.resume();
    if (!empty)
        queue.resume();
    queue = nullptr;
    REQUIRE(job.handle.done());
    jobs->handle = job.handle;
    if (mends) {
        job.handle.destroy();
        jobs->handle = nullptr;
    }
}

int main(int, char **argv)
{
    jobs = new list{};
    run(said(argv, "empty"), said(argv, "twin"));
    if (said(argv, "dropped"))
        jobs->handle = nullptr;
    wipe();
    return 0;
}
