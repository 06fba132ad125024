/*
 * A call that fills a pipe or a socket bit by bit does all of its work, however often checks stop
 * its thread meanwhile; so does one that waits for all bytes.  A signal ends such a call half way,
 * and it answers a smaller count: ours must not.  A signal of the program's does.
 *
 * BUILD: once
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE signals
 * EXPECT: none
 * EXPECT: stdout     /^all as they should be$/
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

__attribute__((weak)) int __lsan_do_recoverable_leak_check(void);

enum { BYTES = 1 << 20, BUFFERS = 20, STEP = 3001 };
GLOBAL unsigned char sent[BYTES], received[BYTES], numbers[8 * BYTES];
GLOBAL bool interrupts; /* by signals of the program's own */

/* How a thread passes all of `sent` to another one, which takes it in small steps. */
struct way {
    const char *name;
    long (*send)(int fd);
    bool is_pipe;
};

static struct iovec *buffers(void)
{
    static struct iovec all[BUFFERS];
    size_t at = 0;
    for (size_t i = 0; i < BUFFERS; i++) {
        size_t bytes = i + 1 < BUFFERS ? 1 + i * i * 101 : BYTES - at;
        all[i] = (struct iovec){sent + at, bytes};
        at += bytes;
    }
    return all;
}
static long do_write(int fd)
{
    return write(fd, sent, BYTES);
}
static long do_writev(int fd)
{
    return writev(fd, buffers(), BUFFERS);
}
static long do_send(int fd)
{
    return send(fd, sent, BYTES, 0);
}
static long do_sendmsg(int fd)
{
    struct msghdr message = {.msg_iov = buffers(), .msg_iovlen = BUFFERS};
    return sendmsg(fd, &message, 0);
}
static long do_sendfile(int fd)
{
    FILE *file = tmpfile();
    REQUIRE(file != NULL && fwrite(sent, 1, BYTES, file) == BYTES && fflush(file) == 0);
    off_t from = 0;
    long result = sendfile(fd, fileno(file), &from, BYTES);
    fclose(file);
    return result;
}

static const struct way ways[] = {
    {"write", do_write, true},      {"writev", do_writev, true},      {"send", do_send, false},
    {"sendmsg", do_sendmsg, false}, {"sendfile", do_sendfile, false},
};

GLOBAL const struct way *way;
GLOBAL int ends[2];
GLOBAL atomic_long result;
GLOBAL atomic_bool has_returned, has_ended;

static void handle(int number)
{
    (void)number;
}

static void *send_all(void *unused)
{
    result = way->send(ends[1]);
    has_returned = true;
    close(ends[1]);
    return unused;
}

/* Reads until the sender has closed its end. */
static void *take_steps(void *unused)
{
    size_t at = 0;
    ssize_t bytes;
    while ((bytes = read(ends[0], received + at, BYTES - at < STEP ? BYTES - at : STEP)) > 0) {
        at += (size_t)bytes;
        usleep(100);
    }
    REQUIRE(bytes == 0 && at == (size_t)result);
    REQUIRE(memcmp(sent, received, at) == 0);
    has_ended = true;
    return unused;
}

/* The other way round: one call waits for all, which comes in steps. */
static void *receive_all(void *unused)
{
    result = recv(ends[0], received, BYTES, MSG_WAITALL);
    has_returned = has_ended = true;
    return unused;
}
static void *give_steps(void *unused)
{
    for (size_t at = 0; at < BYTES;) {
        size_t bytes = BYTES - at < STEP ? BYTES - at : STEP;
        REQUIRE(write(ends[1], sent + at, bytes) == (ssize_t)bytes);
        at += bytes;
        usleep(100);
    }
    return unused;
}

static void *take_numbers(void *unused)
{
    result = getrandom(numbers, sizeof numbers, 0) == sizeof numbers ? BYTES : 0;
    has_returned = has_ended = true;
    return unused;
}

static void check_now(void)
{
    REQUIRE(__lsan_do_recoverable_leak_check != NULL);
    __lsan_do_recoverable_leak_check();
}

static void run(const char *name, void *(*caller)(void *), void *(*other)(void *))
{
    pthread_t caller_id, other_id;
    has_returned = has_ended = false;
    REQUIRE(pthread_create(&caller_id, NULL, caller, NULL) == 0);
    REQUIRE(other == NULL || pthread_create(&other_id, NULL, other, NULL) == 0);
    while (!has_ended) {
        check_now();
        if (interrupts && !has_returned)
            pthread_kill(caller_id, SIGUSR1);
    }
    pthread_join(caller_id, NULL);
    if (other != NULL)
        pthread_join(other_id, NULL);
    if (interrupts ? result >= BYTES || result == 0 : result != BYTES) {
        fprintf(stderr, "%s answered %ld of %d\n", name, (long)result, BYTES);
        _Exit(99);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    struct sigaction action = {.sa_handler = handle};
    interrupts = said(argv, "signals");
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    for (size_t i = 0; i < BYTES; i++)
        sent[i] = (unsigned char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        way = &ways[i];
        REQUIRE((way->is_pipe ? pipe(ends) : socketpair(AF_UNIX, SOCK_STREAM, 0, ends)) == 0);
        run(way->name, send_all, take_steps);
    }
    if (!interrupts) {
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
        run("recv", receive_all, give_steps);
        REQUIRE(memcmp(sent, received, BYTES) == 0);
        run("getrandom", take_numbers, NULL);
    }
    puts("all as they should be");
    return 0;
}
