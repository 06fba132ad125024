/*
 * A check stops all threads by a signal, and no call of theirs shows it: with checks one after the
 * other, each blocking call ends at its limit and never earlier, with its proper result.  A signal
 * of the program's ends it as ever, also when it comes during a check, and a thread that blocks can
 * be cancelled.
 *
 * BUILD: once
 * FLAGS: -Wno-unused-result
 *
 * RUN:    coroner run --format=json --output=report.json $CASE limits
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE limits c11
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signals
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 *
 * With SA_RESTART the kernel goes on with some calls, and with the others still not.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE restarting
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE cancelled
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <threads.h>
#include <time.h>

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

enum { LIMIT_MS = 200 };
static const struct timespec limit = {0, LIMIT_MS * 1000000}, long_limit = {100, 0};
static const struct timeval limit_us = {0, LIMIT_MS * 1000}, long_limit_us = {100, 0};
GLOBAL bool is_long; /* the limit is not reached */

static const struct timespec *within(void)
{
    return is_long ? &long_limit : &limit;
}
static int within_ms(void)
{
    return is_long ? 100000 : LIMIT_MS;
}
static uint64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
static struct timespec at_limit(void)
{
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += within()->tv_sec + (at.tv_nsec + within()->tv_nsec) / 1000000000;
    at.tv_nsec = (at.tv_nsec + within()->tv_nsec) % 1000000000;
    return at;
}
static int failed(int error) /* for functions that answer the error */
{
    errno = error;
    return error == 0 ? 0 : -1;
}

/* One end of a connection with a limit on this direction; the other end does nothing. */
static int limited_socket(int option)
{
    int ends[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    REQUIRE(setsockopt(ends[0], SOL_SOCKET, option, is_long ? &long_limit_us : &limit_us,
                       sizeof limit_us) == 0);
    return ends[0];
}
static int listener(void)
{
    struct sockaddr any = {.sa_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    REQUIRE(bind(fd, &any, sizeof any.sa_family) == 0 && listen(fd, 1) == 0);
    return fd;
}

/* With a limit. */
static long do_nanosleep(void)
{
    return nanosleep(within(), NULL);
}
static long do_usleep(void)
{
    return usleep((unsigned)within_ms() * 1000);
}
static long do_clock_nanosleep(void)
{
    return failed(clock_nanosleep(CLOCK_MONOTONIC, 0, within(), NULL));
}
static long do_clock_nanosleep_until(void)
{
    struct timespec at = at_limit();
    return failed(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL));
}
static long do_poll(void)
{
    return poll(NULL, 0, within_ms());
}
static long do_ppoll(void)
{
    return ppoll(NULL, 0, within(), NULL);
}
static long do_select(void)
{
    struct timeval copy = is_long ? long_limit_us : limit_us;
    return select(0, NULL, NULL, NULL, &copy);
}
static long do_pselect(void)
{
    sigset_t none;
    sigemptyset(&none);
    return pselect(0, NULL, NULL, NULL, within(), &none);
}
static long do_epoll_wait(void)
{
    struct epoll_event event;
    return epoll_wait(epoll_create1(0), &event, 1, within_ms());
}
static long do_epoll_pwait2(void)
{
    struct epoll_event event;
    sigset_t none;
    sigemptyset(&none);
    return epoll_pwait2(epoll_create1(0), &event, 1, within(), &none);
}
static long do_epoll_by_number(void)
{
    struct epoll_event event;
    return syscall(SYS_epoll_pwait, epoll_create1(0), &event, 1, within_ms(), NULL, 8);
}
static long do_sem_timedwait(void)
{
    sem_t semaphore;
    struct timespec at = at_limit();
    sem_init(&semaphore, 0, 0);
    return sem_timedwait(&semaphore, &at);
}
static long do_futex(void)
{
    int word = 0;
    return syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, within(), NULL, 0);
}
static long do_sigtimedwait(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigtimedwait(&set, NULL, within());
}
static long do_semtimedop(void)
{
    int id = semget(IPC_PRIVATE, 1, 0600);
    struct sembuf take = {0, -1, 0};
    long result = semtimedop(id, &take, 1, within());
    int error = errno;
    semctl(id, 0, IPC_RMID);
    errno = error;
    return result;
}
static long do_recv(void)
{
    char byte;
    return recv(limited_socket(SO_RCVTIMEO), &byte, 1, 0);
}
static long do_read_socket(void)
{
    char byte;
    return read(limited_socket(SO_RCVTIMEO), &byte, 1);
}
static long do_send(void)
{
    static const char bytes[4096];
    int fd = limited_socket(SO_SNDTIMEO);
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0)
        continue;
    return send(fd, bytes, 1, 0);
}
static long do_accept_limited(void)
{
    int fd = listener();
    REQUIRE(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, is_long ? &long_limit_us : &limit_us,
                       sizeof limit_us) == 0);
    return accept(fd, NULL, NULL);
}

/* Without one. */
static long do_pause(void)
{
    return pause();
}
static long do_sigsuspend(void)
{
    sigset_t none;
    sigemptyset(&none);
    return sigsuspend(&none);
}
static long do_msgrcv(void)
{
    struct {
        long type;
        char text[8];
    } message;
    int id = msgget(IPC_PRIVATE, 0600);
    long result = msgrcv(id, &message, sizeof message.text, 0, 0);
    int error = errno;
    msgctl(id, IPC_RMID, NULL);
    errno = error;
    return result;
}
static long do_sigwaitinfo(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    return sigwaitinfo(&set, NULL);
}
static long do_epoll_for_ever(void)
{
    struct epoll_event event;
    return epoll_wait(epoll_create1(0), &event, 1, -1);
}
static long do_poll_for_ever(void)
{
    return poll(NULL, 0, -1);
}
static long do_sem_wait(void)
{
    sem_t semaphore;
    sem_init(&semaphore, 0, 0);
    return sem_wait(&semaphore);
}
static long do_read_pipe(void)
{
    char byte;
    int ends[2];
    REQUIRE(pipe(ends) == 0);
    return read(ends[0], &byte, 1);
}
static long do_read_eventfd(void)
{
    uint64_t value;
    return read(eventfd(0, 0), &value, sizeof value);
}
static long do_accept(void)
{
    return accept(listener(), NULL, NULL);
}

static const struct call {
    const char *name;
    long (*function)(void);
    bool is_limited;
    int error;           /* at the limit; 0: it succeeds */
    bool is_restarted;   /* by the kernel, as SA_RESTART says */
    bool ignores_cancel; /* it is no cancellation point */
    bool is_of_the_day;  /* its limit is a time of the wall clock, which can be set meanwhile */
} calls[] = {
    {"nanosleep", do_nanosleep, true, 0, false, false, false},
    {"usleep", do_usleep, true, 0, false, false, false},
    {"clock_nanosleep", do_clock_nanosleep, true, 0, false, false, false},
    {"clock_nanosleep until", do_clock_nanosleep_until, true, 0, false, false, true},
    {"poll", do_poll, true, 0, false, false, false},
    {"ppoll", do_ppoll, true, 0, false, false, false},
    {"select", do_select, true, 0, false, false, false},
    {"pselect", do_pselect, true, 0, false, false, false},
    {"epoll_wait", do_epoll_wait, true, 0, false, false, false},
    {"epoll_pwait2", do_epoll_pwait2, true, 0, false, false, false},
    {"epoll_pwait by number", do_epoll_by_number, true, 0, false, true, false},
    {"sem_timedwait", do_sem_timedwait, true, ETIMEDOUT, false, false, true},
    {"futex", do_futex, true, ETIMEDOUT, false, true, false},
    {"sigtimedwait", do_sigtimedwait, true, EAGAIN, false, false, false},
    {"semtimedop", do_semtimedop, true, EAGAIN, false, true, false},
    {"recv", do_recv, true, EAGAIN, false, false, false},
    {"read of a socket", do_read_socket, true, EAGAIN, false, false, false},
    {"send", do_send, true, EAGAIN, false, false, false},
    {"accept within a limit", do_accept_limited, true, EAGAIN, false, false, false},
    {"pause", do_pause, false, 0, false, false, false},
    {"sigsuspend", do_sigsuspend, false, 0, false, false, false},
    {"msgrcv", do_msgrcv, false, 0, false, false, false},
    {"sigwaitinfo", do_sigwaitinfo, false, 0, false, false, false},
    {"epoll_wait for ever", do_epoll_for_ever, false, 0, false, false, false},
    {"poll for ever", do_poll_for_ever, false, 0, false, false, false},
    {"sem_wait", do_sem_wait, false, 0, true, false, false},
    {"read of a pipe", do_read_pipe, false, 0, true, false, false},
    {"read of an eventfd", do_read_eventfd, false, 0, true, false, false},
    {"accept", do_accept, false, 0, true, false, false},
};
enum { CALLS = sizeof calls / sizeof *calls };

static struct thread {
    const struct call *call;
    pthread_t id;
    long result;
    int error;
    uint64_t took_ns;
    bool is_cleaned;
    atomic_bool has_begun, has_returned;
} threads[CALLS];
GLOBAL atomic_int handled;

static void handle(int number)
{
    (void)number;
    handled++;
}

static void clean(void *thread)
{
    ((struct thread *)thread)->is_cleaned = true;
}

static void *run(void *argument)
{
    struct thread *thread = argument;
    pthread_cleanup_push(clean, thread);
    thread->has_begun = true;
    clockid_t clock = thread->call->is_of_the_day ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    uint64_t began_ns = now_ns(clock);
    errno = 0;
    thread->result = thread->call->function();
    thread->error = errno;
    thread->took_ns = now_ns(clock) - began_ns;
    thread->has_returned = true;
    pthread_cleanup_pop(0);
    return NULL;
}

/* A thread of C11's, which libc makes by another way. */
static int run_c11(void *argument)
{
    run(argument);
    return 11;
}

static void fail(const struct thread *thread, const char *how)
{
    fprintf(stderr, "%s: %s; %ld, %s, after %.3f s\n", thread->call->name, how, thread->result,
            strerror(thread->error), (double)thread->took_ns / 1e9);
    _Exit(99);
}

static void check_now(void)
{
    REQUIRE(__lsan_do_recoverable_leak_check != NULL);
    __lsan_do_recoverable_leak_check();
}

static bool is_used(const struct call *call, char **argv)
{
    if (said(argv, "limits"))
        return call->is_limited;
    if (said(argv, "cancelled"))
        return !call->ignores_cancel;
    return !said(argv, "restarting") || !call->is_restarted;
}

int main(int argc, char **argv)
{
    (void)argc;
    bool limits = said(argv, "limits"), cancels = said(argv, "cancelled");
    struct sigaction action = {.sa_handler = handle,
                               .sa_flags = said(argv, "restarting") ? SA_RESTART : 0};
    sigset_t waited;
    unsigned count = 0;
    is_long = !limits;
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    sigemptyset(&waited);
    sigaddset(&waited, SIGUSR2);
    REQUIRE(sigprocmask(SIG_BLOCK, &waited, NULL) == 0);
    for (unsigned i = 0; i < CALLS; i++) {
        if (!is_used(&calls[i], argv))
            continue;
        threads[count].call = &calls[i];
        if (said(argv, "c11"))
            REQUIRE(thrd_create(&threads[count].id, run_c11, &threads[count]) == thrd_success);
        else
            REQUIRE(pthread_create(&threads[count].id, NULL, run, &threads[count]) == 0);
        count++;
    }
    for (unsigned i = 0; i < count; i++)
        while (!threads[i].has_begun)
            check_now();
    for (unsigned i = 0; i < 20; i++)
        check_now();
    for (unsigned i = 0; i < count; i++) {
        while (limits && !threads[i].has_returned)
            check_now();
        if (cancels)
            pthread_cancel(threads[i].id);
        /* Nobody can know that a thread blocks already: a signal that comes before is lost. */
        for (unsigned n = 0; !limits && !cancels && !threads[i].has_returned; n++) {
            if (n % 64 == 0)
                pthread_kill(threads[i].id, SIGUSR1);
            check_now();
        }
        void *result = NULL;
        int code = 11;
        if (said(argv, "c11"))
            REQUIRE(thrd_join(threads[i].id, &code) == thrd_success && code == 11);
        else
            REQUIRE(pthread_join(threads[i].id, &result) == 0);
        const struct thread *thread = &threads[i];
        if (cancels) {
            if (result != PTHREAD_CANCELED || !thread->is_cleaned)
                fail(thread, "was not cancelled");
        } else if (limits) {
            if (thread->took_ns < (uint64_t)LIMIT_MS * 1000000u)
                fail(thread, "returned early");
            if (thread->result != (thread->call->error != 0 ? -1 : 0) ||
                (thread->call->error != 0 && thread->error != thread->call->error))
                fail(thread, "should have reached its limit");
        } else if (thread->result != -1 || thread->error != EINTR) {
            fail(thread, "should have been interrupted");
        }
    }
    REQUIRE(limits || cancels || handled > 0);
    puts("all as they should be");
    return 0;
}
