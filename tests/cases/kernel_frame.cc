/*
 * A coroutine frame whose handle only the kernel knows, as the data of an epoll
 * registration, as the user data of an io_uring request or as the value of a POSIX timer, will be
 * resumed when the kernel hands it out: live.  Once the descriptor is closed, the ring closed and
 * unmapped, the timer deleted, nobody can resume it any more: abandoned, with what it holds.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE epoll
 * ROW:    K1
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE epoll closed
 * ROW:    K4
 * EXPECT: abandoned  blocks=1 bytes=777 allocated_in=make_payload mechanism=c++20
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_event mechanism=c++20
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE uring
 * ROW:    K2
 * NEEDS:  $CASE uring # io_uring is not allowed here
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE uring wide
 * ROW:    K2
 * NEEDS:  $CASE uring wide # io_uring is not allowed here, or has no wide entries
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE uring closed
 * ROW:    K4
 * NEEDS:  $CASE uring closed # io_uring is not allowed here
 * EXPECT: abandoned  blocks=1 bytes=777 allocated_in=make_payload mechanism=c++20
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_event mechanism=c++20
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE timer
 * ROW:    K3
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE timer closed
 * ROW:    K4
 * EXPECT: abandoned  blocks=1 bytes=777 allocated_in=make_payload mechanism=c++20
 * EXPECT: abandoned  blocks=1 allocated_in=wait_for_event mechanism=c++20
 * EXPECT: exit       status=23
 */
#include "case.h"
#include "uring.h"

#include <coroutine>
#include <sys/epoll.h>
#include <time.h>

GLOBAL char **arguments;
GLOBAL int pipe_ends[2];
GLOBAL int epoll_fd;
GLOBAL struct uring ring;
GLOBAL timer_t timer;

NOINLINE static char *make_payload()
{
    char *payload = static_cast<char *>(malloc(777));
    fill(payload, 777);
    return payload;
}

NOINLINE static void register_at_kernel(void *frame)
{
    if (said(arguments, "epoll")) {
        struct epoll_event event = {};
        event.events = EPOLLIN;
        event.data.ptr = frame;
        epoll_fd = epoll_create1(0);
        REQUIRE(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, pipe_ends[0], &event) == 0);
    } else if (said(arguments, "uring")) {
        uring_open(&ring, said(arguments, "wide") ? URING_WIDE : 0);
        uring_poll(&ring, pipe_ends[0], frame);
    } else {
        struct sigevent event = {};
        struct itimerspec never = {};
        event.sigev_notify = SIGEV_SIGNAL;
        event.sigev_signo = SIGUSR1;
        event.sigev_value.sival_ptr = frame;
        never.it_value.tv_sec = 1 << 20;
        REQUIRE(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
        REQUIRE(timer_settime(timer, 0, &never, NULL) == 0);
    }
}

struct task {
    struct promise_type {
        task get_return_object() { return {}; }
        std::suspend_never initial_suspend() { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() {}
    };
};

struct readiness {
    bool await_ready() { return false; }
    void await_suspend(std::coroutine_handle<> handle) { register_at_kernel(handle.address()); }
    void await_resume() {}
};

NOINLINE static task wait_for_event()
{
    char *payload = make_payload();
    co_await readiness{};
    free(payload);
}

NOINLINE static void let_go()
{
    if (said(arguments, "epoll"))
        REQUIRE(close(epoll_fd) == 0);
    else if (said(arguments, "uring"))
        uring_close(&ring);
    else
        REQUIRE(timer_delete(timer) == 0);
}

int main(int, char **argv)
{
    arguments = argv;
    REQUIRE(pipe(pipe_ends) == 0);
    wait_for_event();
    if (said(argv, "closed"))
        let_go();
    wipe();
    return 0;
}
