/*
 * sessions: an asio server with a coroutine for each connection, of redis's inline commands SET and
 * GET.  Prints the port it listens on, on loopback; ends with its input.
 */
#include <asio.hpp>
#include <cstdio>
#include <string>
#include <thread>
#include <unistd.h>
#include <unordered_map>

using asio::ip::tcp;

namespace {
std::unordered_map<std::string, std::string> values;

std::string answer(const std::string &line)
{
    std::size_t key = line.find(' ') + 1, end = line.find_first_of(" \r", key);
    std::string name = line.substr(key, end - key);
    if (line.starts_with("SET ")) {
        values[name] = line.substr(end + 1, line.find('\r') - end - 1);
        return "+OK\r\n";
    }
    auto found = values.find(name);
    if (found == values.end())
        return "$-1\r\n";
    return "$" + std::to_string(found->second.size()) + "\r\n" + found->second + "\r\n";
}

asio::awaitable<void> session(tcp::socket socket)
{
    std::string input;
    try {
        for (;;) {
            std::size_t bytes = co_await asio::async_read_until(socket, asio::dynamic_buffer(input),
                                                                "\r\n", asio::use_awaitable);
            std::string reply = answer(input.substr(0, bytes));
            input.erase(0, bytes);
            co_await asio::async_write(socket, asio::buffer(reply), asio::use_awaitable);
        }
    } catch (const std::system_error &) {
    }
}

asio::awaitable<void> listener(tcp::acceptor &acceptor)
{
    for (;;) {
        tcp::socket socket = co_await acceptor.async_accept(asio::use_awaitable);
        socket.set_option(tcp::no_delay(true));
        asio::co_spawn(acceptor.get_executor(), session(std::move(socket)), asio::detached);
    }
}
} // namespace

int main()
{
    asio::io_context context(1);
    tcp::acceptor acceptor(context, {asio::ip::address_v4::loopback(), 0});
    asio::co_spawn(context, listener(acceptor), asio::detached);
    std::printf("%d\n", acceptor.local_endpoint().port());
    std::fflush(stdout);
    std::thread ender([&context] {
        char byte;
        while (read(0, &byte, 1) > 0)
            continue;
        context.stop();
    });
    context.run();
    ender.join();
}
