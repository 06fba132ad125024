/*
 * Coroutine frames in memory of the promise's own operator new, which keeps a header of two words
 * before each frame.  The handle is then an address inside the block.
 *
 * In the twin the handle is kept.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request suspended_in=wait_for_reply
 * EXPECT: abandoned  blocks=1 allocated_in=frame_new suspended_in=wait_for_reply mechanism=c++20 \
 *                    confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ends
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: completed  blocks=1 allocated_in=frame_new mechanism=c++20 confidence=likely root=queue
 * EXPECT: exit       status=0
 */
#include "task.h"

struct header {
    size_t bytes, reserved;
};

NOINLINE static header *frame_new(size_t bytes)
{
    header *fresh = (header *)malloc(sizeof(header) + bytes);
    REQUIRE(fresh != nullptr);
    fresh->bytes = bytes;
    fresh->reserved = 1;
    return fresh;
}

struct pooled {
    struct promise_type {
        pooled get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() noexcept
        {
            return {};
        }
        std::suspend_always final_suspend() noexcept
        {
            return {};
        }
        void return_void()
        {
        }
        void unhandled_exception()
        {
            std::terminate();
        }
        static void *operator new(size_t bytes)
        {
            return frame_new(bytes) + 1;
        }
        static void operator delete(void *frame, size_t)
        {
            free((header *)frame - 1);
        }
    };
    std::coroutine_handle<promise_type> handle;
};

GLOBAL std::coroutine_handle<> queue;

NOINLINE static pooled wait_for_reply()
{
    char *volatile request = make_request(4096);
    co_await parked{&queue};
    request[0] = 'y';
}

NOINLINE static void run(bool ends)
{
    wait_for_reply();
    if (ends)
        queue.resume();
}

int main(int, char **argv)
{
    run(said(argv, "ends"));
    if (!said(argv, "twin") && !said(argv, "ends"))
        queue = nullptr;
    wipe();
    return 0;
}
