/*
 * An asio server as servers are: sessions that read, set a timer and answer have come and gone when
 * 30 more each wait for a reply whose handler is forgotten.  They are abandoned, with the coroutines
 * that they await and that asio spawned them in: what old operations and frames left in reused
 * memory holds none of them, nor does what is left of their timers behind the end of asio's heap of
 * timers (a vector), which is a guess: likely.  Now and then one or two are missed: an operation in
 * memory that asio recycled has words that it has not written yet.
 *
 * In the twin the handlers are kept.
 *
 * BUILD: with asio.hpp
 * FLAGS: -DASIO_HAS_CO_AWAIT
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: abandoned  blocks=27..30 allocated_in=buffer_make mechanism=c++20
 * EXPECT: abandoned  blocks=27..30 allocated_in=text_make mechanism=c++20
 * EXPECT: abandoned  mechanism=c++20
 * EXPECT: lost       blocks=27..30 allocated_in=handler_forget
 * EXPECT: exit       status=23
 *
 * With four threads that wait for events in the end, what they keep to use again and what is left of
 * older events on their stacks holds none either.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads
 * EXPECT: abandoned  blocks=24..30 allocated_in=buffer_make mechanism=c++20
 * EXPECT: abandoned  mechanism=c++20
 * EXPECT: lost       blocks=20..30 allocated_in=handler_forget
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE threads twin
 * EXPECT: none
 * EXPECT: summary    coroutines.abandoned=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    coroutines.abandoned=0
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <asio.hpp>

#include <mutex>
#include <thread>
#include <vector>

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;

enum { BUFFER_BYTES = 1000, TEXT_BYTES = 300, QUESTION_BYTES = 20, SESSIONS = 30 };

GLOBAL asio::io_context *context;
GLOBAL tcp::acceptor *acceptor;
GLOBAL std::vector<void *> *handlers;
GLOBAL std::vector<tcp::socket> *clients;
GLOBAL asio::io_context *outside; /* of the clients */
static std::mutex handlers_mutex;
static bool is_forgetful, has_threads;
static int forgotten; /* handlers */

NOINLINE static char *buffer_make()
{
    char *buffer = static_cast<char *>(malloc(BUFFER_BYTES));
    REQUIRE(buffer != nullptr);
    return buffer;
}

NOINLINE static char *text_make()
{
    char *text = static_cast<char *>(malloc(TEXT_BYTES));
    REQUIRE(text != nullptr);
    fill(text, TEXT_BYTES);
    return text;
}

NOINLINE static void *handler_forget(size_t bytes)
{
    void *handler = malloc(bytes);
    REQUIRE(handler != nullptr);
    std::lock_guard<std::mutex> guard(handlers_mutex);
    forgotten++;
    if (handlers != nullptr)
        handlers->push_back(handler);
    return handler;
}

static int forgotten_get()
{
    std::lock_guard<std::mutex> guard(handlers_mutex);
    return forgotten;
}

/* The operation that will not end, once the server is forgetful. */
static awaitable<void> reply_wait()
{
    return asio::async_initiate<const asio::use_awaitable_t<> &, void()>(
        [](auto &&given) {
            using kept = std::decay_t<decltype(given)>;
            if (is_forgetful) {
                new (handler_forget(sizeof(kept))) kept(std::move(given));
                return;
            }
            kept *handler = new kept(std::move(given));
            asio::post(*context, [handler] {
                kept last(std::move(*handler));
                delete handler;
                std::move(last)();
            });
        },
        use_awaitable);
}

static awaitable<size_t> question_read(tcp::socket &socket, char *buffer)
{
    size_t bytes =
        co_await socket.async_read_some(asio::buffer(buffer, BUFFER_BYTES), use_awaitable);
    co_return bytes;
}

static awaitable<void> question_answer(tcp::socket &socket, const char *buffer, size_t bytes)
{
    char *text = text_make();
    asio::steady_timer timer(*context, std::chrono::milliseconds(1));
    co_await timer.async_wait(use_awaitable);
    co_await reply_wait();
    co_await asio::async_write(socket, asio::buffer(buffer, bytes), use_awaitable);
    free(text);
}

static awaitable<void> serve(tcp::socket socket)
{
    char *buffer = buffer_make();
    try {
        for (;;)
            co_await question_answer(socket, buffer, co_await question_read(socket, buffer));
    } catch (std::exception &) {
        free(buffer);
    }
}

static awaitable<void> listen()
{
    for (;;) {
        tcp::socket socket = co_await acceptor->async_accept(use_awaitable);
        asio::co_spawn(asio::make_strand(*context), serve(std::move(socket)), asio::detached);
    }
}

/* Serves for a while, where no thread does. */
static void serve_for(int milliseconds)
{
    if (has_threads)
        std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
    else
        context->run_for(std::chrono::milliseconds(milliseconds));
}

/* Each asks once; they are answered before they go, unless the server is forgetful. */
NOINLINE static void clients_come(int count, std::vector<tcp::socket> &sockets)
{
    char question[QUESTION_BYTES] = "who is there?";
    for (int i = 0; i < count; i++) {
        sockets.emplace_back(*outside);
        sockets.back().connect(acceptor->local_endpoint());
        serve_for(0);
    }
    for (tcp::socket &socket : sockets)
        asio::write(socket, asio::buffer(question));
    serve_for(100);
    for (size_t i = 0; i < sockets.size() && !is_forgetful; i++) {
        while (sockets[i].available() < sizeof question)
            serve_for(1);
        asio::read(sockets[i], asio::buffer(question));
    }
}

int main(int, char **argv)
{
    context = new asio::io_context;
    outside = new asio::io_context;
    acceptor = new tcp::acceptor(*context, {asio::ip::address_v4::loopback(), 0});
    has_threads = said(argv, "threads");
    asio::co_spawn(*context, listen(), asio::detached);
    for (int i = 0; i < 4 && has_threads; i++)
        std::thread([] { context->run(); }).detach();
    for (int i = 0; i < 3; i++) {
        std::vector<tcp::socket> passing;
        clients_come(20 + 10 * i, passing);
    }
    serve_for(50);
    if (said(argv, "twin"))
        handlers = new std::vector<void *>;
    is_forgetful = true;
    clients = new std::vector<tcp::socket>;
    clients_come(SESSIONS, *clients);
    while (forgotten_get() < SESSIONS)
        serve_for(1);
    serve_for(50);
    wipe();
    return 0;
}
