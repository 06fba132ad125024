/*
 * C++ as people write it: containers that grow and move, shared and unique ownership, thread_local
 * objects, exceptions, functions that carry state, and C++20 coroutines on a queue between threads.
 */
#include "motion.h"

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

struct Task {
    struct promise_type {
        Task get_return_object()
        {
            return {};
        }
        std::suspend_never initial_suspend() noexcept
        {
            return {};
        }
        std::suspend_never final_suspend() noexcept
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
};

/* Handles that wait to be resumed. */
class Queue {
  public:
    void push(std::coroutine_handle<> handle)
    {
        std::lock_guard guard(lock);
        waiting.push_back(handle);
    }
    std::coroutine_handle<> pop()
    {
        std::lock_guard guard(lock);
        if (waiting.empty())
            return {};
        auto handle = waiting.front();
        waiting.pop_front();
        return handle;
    }

  private:
    std::mutex lock;
    std::deque<std::coroutine_handle<>> waiting;
};

Queue queue;
thread_local std::vector<std::string> own;

struct Later {
    bool await_ready()
    {
        return false;
    }
    void await_suspend(std::coroutine_handle<> handle)
    {
        queue.push(handle);
    }
    void await_resume()
    {
    }
};

Task serve(std::string text, unsigned turns)
{
    std::vector<std::string> seen;
    while (turns-- > 0) {
        seen.push_back(text + std::to_string(turns));
        co_await Later{};
        MOTION_REQUIRE(seen.back().starts_with(text));
    }
}

void drain()
{
    while (auto handle = queue.pop())
        handle.resume();
}

/* Builds and takes apart what a request of a server may need. */
void request(unsigned long *random)
{
    std::map<int, std::shared_ptr<std::string>> sorted;
    std::unordered_map<std::string, std::unique_ptr<std::vector<int>>> hashed;
    for (unsigned i = motion_random(random, 80); i > 0; i--) {
        auto text = std::make_shared<std::string>(20 + motion_random(random, 100), 'a');
        sorted[static_cast<int>(motion_random(random, 1000))] = text;
        hashed[*text + std::to_string(i)] = std::make_unique<std::vector<int>>(i);
        own.push_back(*text);
    }
    if (own.size() > 500)
        own.clear(), own.shrink_to_fit();
    std::function<size_t()> count = [sorted, copy = own] { return sorted.size() + copy.size(); };
    MOTION_REQUIRE(count() >= sorted.size());
    try {
        if (motion_random(random, 3) == 0)
            throw std::runtime_error(std::string(100, 'e'));
    } catch (const std::exception &error) {
        MOTION_REQUIRE(error.what()[0] == 'e');
    }
    serve(std::string(30, 'c'), motion_random(random, 12));
    for (unsigned i = 0; i < 6; i++)
        if (auto handle = queue.pop())
            handle.resume();
}

void work(unsigned long random)
{
    while (motion_is_on())
        request(&random);
}

} // namespace

int main(int argc, char **argv)
{
    unsigned long random = 71;
    motion_begin(argc, argv);
    {
        std::vector<std::thread> workers;
        for (unsigned long i = 1; i <= 2; i++)
            workers.emplace_back(work, i);
        while (motion_goes_on()) {
            request(&random);
            auto answer = std::async(std::launch::async, [] { return std::string(40, 'f'); });
            MOTION_REQUIRE(answer.get().size() == 40);
        }
        for (auto &worker : workers)
            worker.join();
    }
    drain();
    motion_wipe();
    return motion_end("all objects in order");
}
