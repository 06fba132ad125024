/*
 * What a check costs with many C++20 coroutines: a million of them, each suspended in its own
 * coroutine frame and holding a block of 64 bytes.  The argument says who holds the handles:
 *
 *     live       a table
 *     abandoned  nobody
 *
 * What is measured then is in Coroner's report: check_s; it prints the time it took to make them,
 * for those who run it alone.  With `memory` it runs itself with `live`, and prints the most memory
 * that was resident, the check included.
 */
#include <coroutine>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "bench.h"

namespace {

constexpr int coroutines = 1000000;

struct task {
    struct promise_type {
        task get_return_object()
        {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_never initial_suspend()
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
            std::abort();
        }
    };
    std::coroutine_handle<> handle;
};

task wait_for_ever()
{
    void *volatile note = malloc(64);
    co_await std::suspend_always{};
    free(note);
}

std::coroutine_handle<> *handles;

int print_memory(char *program)
{
    char word[] = "live";
    char *arguments[] = {program, word, nullptr};
    struct rusage usage;
    pid_t child;
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    REQUIRE(posix_spawn(&child, program, &actions, nullptr, arguments, environ) == 0);
    REQUIRE(wait4(child, nullptr, 0, &usage) == child);
    posix_spawn_file_actions_destroy(&actions);
    printf("frames_memory %.1f MiB\n", (double)usage.ru_maxrss / 1024);
    return 0;
}

} // namespace

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "memory") == 0)
        return print_memory(argv[0]);
    bool is_abandoned = argc > 1 && strcmp(argv[1], "abandoned") == 0;
    double began = now_ns();
    if (!is_abandoned)
        handles = new std::coroutine_handle<>[coroutines];
    for (int i = 0; i < coroutines; i++) {
        task made = wait_for_ever();
        if (!is_abandoned)
            handles[i] = made.handle;
    }
    printf("frames_%s_build %.3f s\n", is_abandoned ? "abandoned" : "live",
           (now_ns() - began) / 1e9);
    return 0;
}
