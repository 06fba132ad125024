/*
 * asio::awaitable of Boost 1.81: C++20 coroutine frames, resumed by handlers.
 *
 * Healthy: 20 coroutines, 100 timers each; 10 end, 10 wait for a timer an hour away.
 * Planted: 5 that await an operation whose handler lies in a block that nobody holds.
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.abandoned=0 coroutines.completed=0
 * EXPECT: coroutines mechanism=c++20 state=suspended name=body count=10
 *
 * RUN:    coroner run $CASE planted
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new mechanism=c++20
 * EXPECT: abandoned total_blocks=20
 * EXPECT: lost total_blocks=5
 */
#include "../cases/case.h"

#include <boost/asio.hpp>

enum { COROUTINES = 20, PLANTED = 5, ROUNDS = 100 };

namespace asio = boost::asio;

static asio::io_context *context;
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = static_cast<char *>(malloc(1000));
    fill(payload, 1000);
    return payload;
}

static asio::awaitable<void> body(bool ends)
{
    char *volatile payload = payload_new();
    asio::steady_timer timer(*context);
    for (long i = 0; i < ROUNDS; i++) {
        total += i;
        timer.expires_after(std::chrono::microseconds(i % 7));
        co_await timer.async_wait(asio::use_awaitable);
    }
    if (!ends) {
        timer.expires_after(std::chrono::hours(1));
        co_await timer.async_wait(asio::use_awaitable);
    }
    free(payload);
}

/* Takes the handler, and loses it. */
template <typename Token> static auto async_lose(Token &&token)
{
    return asio::async_initiate<Token, void()>(
        [](auto handler) {
            void *lost = new decltype(handler)(std::move(handler));
            __asm__ volatile("" : : "r"(lost) : "memory");
        },
        token);
}

static asio::awaitable<void> wait_for_ever(void)
{
    char *volatile payload = payload_new();
    co_await async_lose(asio::use_awaitable);
    free(payload);
}

NOINLINE static void work(void)
{
    for (int i = 0; i < COROUTINES; i++)
        asio::co_spawn(*context, body(i % 2), asio::detached);
    context->run_for(std::chrono::milliseconds(500));
}

NOINLINE static void plant(void)
{
    for (int i = 0; i < PLANTED; i++)
        asio::co_spawn(*context, wait_for_ever(), asio::detached);
    context->run_for(std::chrono::milliseconds(50));
}

int main(int argc, char **argv)
{
    (void)argc;
    context = new asio::io_context;
    if (said(argv, "planted"))
        plant();
    else
        work();
    printf("total %ld\n", total);
    fflush(stdout);
    wipe();
    _exit(0);
}
