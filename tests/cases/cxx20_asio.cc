/*
 * asio::awaitable: a coroutine that waits for an operation is held by the operation's handler, and
 * asio keeps the memory of frames for the next ones.  Here the handler lies in a block that nobody
 * reaches: it is lost, and the coroutine that it alone could resume is abandoned, with the one that
 * awaits it and the one that asio spawned it in.
 *
 * In the twin the coroutine waits for a timer that the context holds.
 *
 * BUILD: with asio.hpp
 * FLAGS: -DASIO_HAS_CO_AWAIT
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    A2
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request mechanism=c++20 \
 *                    state=abandoned confidence=proven
 * EXPECT: abandoned  mechanism=c++20 confidence=proven
 * EXPECT: lost       blocks=1 allocated_in=handler_new
 * EXPECT: summary    coroutines.suspended=0 coroutines.completed=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * ROW:    A1
 * EXPECT: none
 * EXPECT: summary    coroutines.abandoned=0 coroutines.completed=0
 * EXPECT: exit       status=0
 */
#include "task.h"

#include <asio/awaitable.hpp>
#include <asio/co_spawn.hpp>
#include <asio/detached.hpp>
#include <asio/io_context.hpp>
#include <asio/steady_timer.hpp>
#include <asio/use_awaitable.hpp>

GLOBAL asio::io_context *context;
GLOBAL asio::steady_timer *timer;
GLOBAL void *handler;

NOINLINE static void *handler_new(size_t bytes)
{
    void *fresh = malloc(bytes);
    REQUIRE(fresh != nullptr);
    return fresh;
}

/* Awaits an operation that keeps its handler and never ends. */
static asio::awaitable<void> operation_wait()
{
    return asio::async_initiate<const asio::use_awaitable_t<> &, void()>(
        [](auto &&given) {
            using kept = std::decay_t<decltype(given)>;
            handler = new (handler_new(sizeof(kept))) kept(std::move(given));
        },
        asio::use_awaitable);
}

static asio::awaitable<void> wait_for_reply(bool has_timer)
{
    char *request = make_request(4096);
    if (has_timer)
        co_await timer->async_wait(asio::use_awaitable);
    else
        co_await operation_wait();
    free(request);
}

static asio::awaitable<void> serve(bool has_timer)
{
    co_await wait_for_reply(has_timer);
}

NOINLINE static void run(bool has_timer)
{
    context = new asio::io_context;
    timer = new asio::steady_timer(*context, std::chrono::hours(1));
    asio::co_spawn(*context, serve(has_timer), asio::detached);
    context->poll();
}

int main(int, char **argv)
{
    run(said(argv, "twin"));
    handler = nullptr;
    wipe();
    return 0;
}
