/*
 * What coroutines of asio wait for, and who could still end it.  A channel whose ends only the
 * coroutine itself has, an operation of a group that has such a one, a handler in a strand whose
 * turn is forgotten, a socket whose descriptor was closed past asio: nobody.  Asio's services keep
 * lists of all channels, strands and sockets that there are, to end them with the io_context; nobody
 * resumes through those.  That these are such lists is known by their layout: likely.
 *
 * In the twins somebody has the other end.  A coroutine that waits for a socket or a timer whose
 * context is there is live.
 *
 * BUILD: with asio.hpp
 * FLAGS: -DASIO_HAS_CO_AWAIT
 *
 * RUN:    coroner run --format=json --output=report.json $CASE own
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE shared
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE shared twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE concurrent
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE concurrent twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE send
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE send twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE group
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE group twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE both
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE both twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE strand
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request
 * EXPECT: abandoned  mechanism=c++20
 * EXPECT: lost       allocated_in=turn_forget
 *
 * RUN:    coroner run --format=json --output=report.json $CASE strand twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE closed
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request confidence=likely
 * EXPECT: abandoned  mechanism=c++20 confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE closed twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE timer
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE context
 * EXPECT: abandoned  mechanism=c++20 confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE context twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "task.h"

#include <asio.hpp>
#include <asio/experimental/awaitable_operators.hpp>
#include <asio/experimental/channel.hpp>
#include <asio/experimental/concurrent_channel.hpp>
#include <asio/experimental/parallel_group.hpp>

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using channel = asio::experimental::channel<void(asio::error_code, int)>;
using concurrent = asio::experimental::concurrent_channel<void(asio::error_code, int)>;

GLOBAL asio::io_context *context;
GLOBAL void *volatile kept[4];
GLOBAL bool has_twin;

/* The other end, if somebody has it. */
template <typename Channel> static std::shared_ptr<Channel> channel_make()
{
    auto made = std::make_shared<Channel>(*context, 0);
    if (has_twin)
        kept[0] = new std::shared_ptr<Channel>(made);
    return made;
}

static awaitable<void> own_receive()
{
    char *request = make_request(4096);
    channel own(*context, 0);
    (void)co_await own.async_receive(use_awaitable);
    free(request);
}

template <typename Channel> static awaitable<void> channel_receive(std::shared_ptr<Channel> shared)
{
    char *request = make_request(4096);
    (void)co_await shared->async_receive(use_awaitable);
    free(request);
}

static awaitable<void> channel_send(std::shared_ptr<channel> shared)
{
    char *request = make_request(4096);
    co_await shared->async_send(asio::error_code{}, 1, use_awaitable);
    free(request);
}

/* The timer ends, the other one never. */
static awaitable<void> group_wait(std::shared_ptr<channel> shared)
{
    char *request = make_request(4096);
    asio::steady_timer timer(*context, std::chrono::milliseconds(1));
    co_await asio::experimental::make_parallel_group(
        [&](auto token) { return timer.async_wait(token); },
        [&](auto token) { return shared->async_receive(token); })
        .async_wait(asio::experimental::wait_for_all(), use_awaitable);
    free(request);
}

static awaitable<void> both_wait(std::shared_ptr<channel> shared)
{
    using namespace asio::experimental::awaitable_operators;
    char *request = make_request(4096);
    asio::steady_timer timer(*context, std::chrono::milliseconds(1));
    co_await (timer.async_wait(use_awaitable) && shared->async_receive(use_awaitable));
    free(request);
}

NOINLINE static void *turn_forget(size_t bytes)
{
    void *turn = malloc(bytes);
    REQUIRE(turn != nullptr);
    if (has_twin)
        kept[1] = turn;
    return turn;
}

/* Takes what it should run, and never runs it. */
struct forgetful {
    asio::execution_context &query(asio::execution::context_t) const noexcept
    {
        return *context;
    }
    static constexpr asio::execution::blocking_t::never_t
    query(asio::execution::blocking_t) noexcept
    {
        return asio::execution::blocking_t::never;
    }
    template <typename Function> void execute(Function function) const
    {
        new (turn_forget(sizeof(Function))) Function(std::move(function));
    }
    bool operator==(const forgetful &) const noexcept
    {
        return true;
    }
    bool operator!=(const forgetful &) const noexcept
    {
        return false;
    }
};

static awaitable<void> strand_wait(asio::strand<forgetful> strand)
{
    char *request = make_request(4096);
    co_await asio::post(strand, use_awaitable);
    free(request);
}

static awaitable<void> socket_read(tcp::socket socket)
{
    char *request = make_request(4096);
    char answer[10];
    co_await socket.async_read_some(asio::buffer(answer), use_awaitable);
    free(request);
}

static awaitable<void> timer_wait()
{
    char *request = make_request(4096);
    asio::steady_timer timer(*context, asio::steady_timer::time_point::max());
    co_await timer.async_wait(use_awaitable);
    free(request);
}

static void socket_spawn()
{
    tcp::acceptor acceptor(*context, {asio::ip::address_v4::loopback(), 0});
    tcp::socket *client = new tcp::socket(*context);
    kept[2] = client;
    client->connect(acceptor.local_endpoint());
    tcp::socket accepted = acceptor.accept();
    int fd = accepted.native_handle();
    asio::co_spawn(*context, socket_read(std::move(accepted)), asio::detached);
    context->poll();
    if (!has_twin)
        close(fd);
}

/* A context that nobody runs any more, nor can reach. */
static void context_spawn()
{
    asio::io_context *other = new asio::io_context;
    asio::co_spawn(*other, timer_wait(), asio::detached);
    if (has_twin)
        kept[3] = other;
}

NOINLINE static void run(char **argv)
{
    context = new asio::io_context;
    if (said(argv, "own"))
        asio::co_spawn(*context, own_receive(), asio::detached);
    if (said(argv, "shared"))
        asio::co_spawn(*context, channel_receive(channel_make<channel>()), asio::detached);
    if (said(argv, "concurrent"))
        asio::co_spawn(*context, channel_receive(channel_make<concurrent>()), asio::detached);
    if (said(argv, "send"))
        asio::co_spawn(*context, channel_send(channel_make<channel>()), asio::detached);
    if (said(argv, "group"))
        asio::co_spawn(*context, group_wait(channel_make<channel>()), asio::detached);
    if (said(argv, "both"))
        asio::co_spawn(*context, both_wait(channel_make<channel>()), asio::detached);
    if (said(argv, "strand"))
        asio::co_spawn(*context, strand_wait(asio::strand<forgetful>(forgetful())), asio::detached);
    if (said(argv, "closed"))
        socket_spawn();
    if (said(argv, "timer"))
        asio::co_spawn(*context, timer_wait(), asio::detached);
    if (said(argv, "context"))
        context_spawn();
    context->run_for(std::chrono::milliseconds(20));
}

int main(int, char **argv)
{
    has_twin = said(argv, "twin");
    run(argv);
    wipe();
    return 0;
}
