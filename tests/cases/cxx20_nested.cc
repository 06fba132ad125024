/*
 * A compiler may keep the frame of a child inside its parent's (clang does at -O2, where the child
 * cannot outlive the parent): there is one block then, and the parent's handle holds both.  The
 * child's request is held by that block, live or abandoned with it.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=1 bytes=100 allocated_in=make_request mechanism=c++20 confidence=proven
 * EXPECT: abandoned  mechanism=c++20 confidence=proven
 * EXPECT: exit       status=23
 */
#include "task.h"

/* A coroutine that its owner destroys, as compilers must see to elide its frame. */
struct scoped {
    struct promise_type {
        scoped get_return_object()
        {
            return scoped{std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept
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
    };
    explicit scoped(std::coroutine_handle<promise_type> made) : handle{made}
    {
    }
    scoped(scoped &&other) : handle{other.handle}
    {
        other.handle = nullptr;
    }
    ~scoped()
    {
        if (handle)
            handle.destroy();
    }
    std::coroutine_handle<promise_type> handle;
};

GLOBAL std::coroutine_handle<> queue;

static inline scoped child(size_t bytes)
{
    char *request = make_request(bytes);
    co_await std::suspend_always{};
    free(request);
}

NOINLINE static task parent()
{
    scoped below = child(100);
    below.handle.resume();
    co_await parked{&queue};
    below.handle.resume();
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
