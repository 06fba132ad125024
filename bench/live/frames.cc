// frames N: N coroutines of C++20 that are suspended.
#include <coroutine>
#include <cstdlib>
#include <memory>
#include <unistd.h>
#include <vector>

using std::atomic_exchange;
#include "stand.h"

struct Task {
    struct promise_type {
        Task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
    std::coroutine_handle<promise_type> handle;
};

static Task serve()
{
    auto request = std::make_unique<char[]>(40);
    co_await std::suspend_always{};
    request[0] = 'x';
}

static void touch(void *user)
{
    ++*(char *)user;
}

int main(int argc, char **argv)
{
    std::size_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000;
    static std::vector<Task> tasks;
    for (std::size_t i = 0; i < count; i++)
        tasks.push_back(serve());
    stand(heart{touch, std::malloc(1)});
    _exit(0);
}
