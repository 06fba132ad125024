/*
 * Coroutines of two kinds that hold each other.  A C++20 coroutine waits for a ucontext fiber and
 * is known only to it; the fiber waits for the frame, and is known only to that.  Nobody outside
 * can resume either: both are abandoned, each with what it holds.
 *
 * In the twin a global holds the frame's handle, and through it the fiber is live.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=1 bytes=100 allocated_in=make_request suspended_in=wait_for_fiber \
 *                    mechanism=c++20
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_fiber mechanism=c++20
 * EXPECT: abandoned  blocks=1 bytes=200 allocated_in=make_request suspended_in=wait_for_task \
 *                    mechanism=ucontext
 * EXPECT: abandoned  blocks=1 allocated_in=heap_stack mechanism=ucontext
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new mechanism=ucontext
 * EXPECT: summary    coroutines.seen=2 coroutines.abandoned=2
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=2 coroutines.suspended=2
 * EXPECT: exit       status=0
 */
#include "task.h"

struct fiber {
    ucontext_t context;
    std::coroutine_handle<> waiting;
};

GLOBAL std::coroutine_handle<> queue;
GLOBAL ucontext_t scheduler;

NOINLINE static fiber *fiber_new()
{
    fiber *fresh = (fiber *)calloc(1, sizeof(fiber));
    REQUIRE(fresh != nullptr);
    return fresh;
}

static void wait_for_task(void *argument)
{
    fiber *volatile self = (fiber *)argument;
    char *volatile request = make_request(200);
    swapcontext(&self->context, &scheduler);
    free(request);
}

NOINLINE static task wait_for_fiber(fiber *other)
{
    char *request = make_request(100);
    co_await parked{&other->waiting};
    free(request);
    other->waiting = nullptr;
}

NOINLINE static void run()
{
    fiber *one = fiber_new();
    coroutine_make(&one->context, heap_stack(STACK_BYTES), STACK_BYTES, &scheduler, wait_for_task,
                   one);
    swapcontext(&scheduler, &one->context);
    wait_for_fiber(one).handle.resume();
    queue = one->waiting;
    memset(&scheduler, 0, sizeof scheduler);
}

int main(int, char **argv)
{
    run();
    if (!said(argv, "twin"))
        queue = nullptr;
    wipe();
    return 0;
}
