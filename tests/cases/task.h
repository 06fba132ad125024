#ifndef TASK_H
#define TASK_H
/*
 * What the cases about C++20 coroutines share: a coroutine type that decides nothing.
 *
 * A task starts when it is resumed or awaited, resumes who awaits it at its end, and then stays at
 * its final suspension point.  Nothing destroys it: the case does, or leaves it.
 */
#include "case.h"

#include <coroutine>
#include <exception>

struct task {
    struct promise_type {
        std::coroutine_handle<> awaiting;

        task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept
        {
            return {};
        }
        auto final_suspend() noexcept
        {
            struct awaiter {
                bool await_ready() noexcept
                {
                    return false;
                }
                std::coroutine_handle<>
                await_suspend(std::coroutine_handle<promise_type> self) noexcept
                {
                    std::coroutine_handle<> next = self.promise().awaiting;
                    return next ? next : std::noop_coroutine();
                }
                void await_resume() noexcept
                {
                }
            };
            return awaiter{};
        }
        void return_void()
        {
        }
        void unhandled_exception()
        {
            std::terminate();
        }
    };

    std::coroutine_handle<promise_type> handle;

    bool await_ready()
    {
        return false;
    }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting)
    {
        handle.promise().awaiting = awaiting;
        return handle;
    }
    void await_resume()
    {
    }
};

/* Suspends the coroutine that awaits it, and leaves its handle in a place of the case's choice. */
struct parked {
    std::coroutine_handle<> *place;

    bool await_ready()
    {
        return false;
    }
    void await_suspend(std::coroutine_handle<> self)
    {
        *place = self;
    }
    void await_resume()
    {
    }
};

/* A block for a coroutine to hold; its function is the one that a report must name. */
NOINLINE static char *make_request(size_t bytes)
{
    char *request = (char *)malloc(bytes);
    REQUIRE(request != nullptr);
    fill(request, bytes);
    return request;
}

#endif
