/*
 * load PORT SECONDS CONNECTIONS KEYS RATE: asks a server of redis's inline commands on loopback.
 *
 * Each connection sends one request, waits for its reply, and rests so that all together make RATE
 * requests a second (0: as many as there can be).  Three of four read a key that this program
 * wrote, and what comes back is compared with what was written.  A request that had to wait for its
 * turn counts from the moment when it was due, so a server that stands still is felt by all who
 * would have asked meanwhile.
 *
 * Prints one line: requests, errors, wrong replies, and the latency in us that half, 99 and
 * 99.9 % of the requests did not pass, and the largest.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { VALUE_BYTES = 64, REPLY_BYTES = 256, CONNECTIONS_MAX = 256 };
enum { BUCKETS = 1 << 16, BUCKET_US = 10 }; /* the last one: 0.65 s and more */

struct connection {
    int fd;
    bool is_waiting; /* for a reply */
    uint64_t due_ns; /* when its request was or will be due */
    size_t key, got;
    char reply[REPLY_BYTES];
    char expected[REPLY_BYTES];
};

static struct connection connections[CONNECTIONS_MAX];
static uint64_t counts[BUCKETS], longest_us;
static uint64_t requests, errors, wrong;
static uint32_t *versions; /* of each key's value; 0: not written */
static uint64_t random_state = 88172645463325252u;

static uint64_t now_ns(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static uint64_t random_next(void) /* Marsaglia's xorshift64 */
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    return random_state ^= random_state << 17;
}

static void value_make(char *value, size_t key, uint32_t version)
{
    char head[32];
    int bytes = snprintf(head, sizeof head, "%zu.%u.", key, version);
    memset(value, 'v', VALUE_BYTES);
    memcpy(value, head, (size_t)bytes);
    value[VALUE_BYTES] = 0;
}

/* Each connection has keys of its own, so that no other one writes them meanwhile. */
static void request_send(struct connection *connection, size_t first_key, size_t keys)
{
    char request[REPLY_BYTES], value[VALUE_BYTES + 1];
    connection->key = first_key + random_next() % keys;
    uint32_t *version = &versions[connection->key];
    int bytes;
    if (*version == 0 || random_next() % 4 == 0) {
        value_make(value, connection->key, ++*version);
        bytes = snprintf(request, sizeof request, "SET key:%zu %s\r\n", connection->key, value);
        strcpy(connection->expected, "+OK\r\n");
    } else {
        value_make(value, connection->key, *version);
        bytes = snprintf(request, sizeof request, "GET key:%zu\r\n", connection->key);
        snprintf(connection->expected, sizeof connection->expected, "$%d\r\n%s\r\n", VALUE_BYTES,
                 value);
    }
    connection->got = 0;
    connection->is_waiting = true;
    if (send(connection->fd, request, (size_t)bytes, MSG_NOSIGNAL) != bytes)
        errors++;
}

static void latency_note(uint64_t ns)
{
    uint64_t us = ns / 1000, bucket = us / BUCKET_US;
    counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    longest_us = us > longest_us ? us : longest_us;
    requests++;
}

/* False: the connection is gone. */
static bool reply_take(struct connection *connection, uint64_t gap_ns)
{
    ssize_t bytes =
        recv(connection->fd, connection->reply + connection->got, REPLY_BYTES - connection->got, 0);
    if (bytes <= 0) {
        errors++;
        return false;
    }
    connection->got += (size_t)bytes;
    size_t expected = strlen(connection->expected);
    if (connection->got < expected && connection->reply[0] == connection->expected[0])
        return true;
    uint64_t now = now_ns();
    wrong += connection->got != expected ||
             memcmp(connection->reply, connection->expected, expected) != 0;
    latency_note(now - connection->due_ns);
    connection->is_waiting = false;
    connection->due_ns = gap_ns > 0 ? connection->due_ns + gap_ns : now;
    return true;
}

static unsigned long long percentile_us(double part)
{
    uint64_t below = 0;
    for (unsigned i = 0; i < BUCKETS; i++)
        if ((double)(below += counts[i]) >= part * (double)requests)
            return (unsigned long long)(i + 1) * BUCKET_US;
    return 0;
}

static int connection_open(int port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        fprintf(stderr, "load: connect to port %d: %s\n", port, strerror(errno));
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fputs("usage: load PORT SECONDS CONNECTIONS KEYS RATE\n", stderr);
        return 2;
    }
    size_t count = strtoul(argv[3], NULL, 10), keys = strtoul(argv[4], NULL, 10);
    double rate = strtod(argv[5], NULL);
    if (count == 0 || count > CONNECTIONS_MAX || keys < count) {
        fputs("load: 1 to 256 connections, and a key for each\n", stderr);
        return 2;
    }
    uint64_t gap_ns = rate > 0 ? (uint64_t)((double)count / rate * 1e9) : 0;
    uint64_t began = now_ns(), end = began + (uint64_t)(strtod(argv[2], NULL) * 1e9);
    int poller = epoll_create1(0);
    versions = calloc(keys, sizeof *versions);
    if (versions == NULL)
        return 1;
    for (size_t i = 0; i < count; i++) {
        connections[i].fd = connection_open(atoi(argv[1]));
        connections[i].due_ns = began + gap_ns * i / count;
        struct epoll_event event = {.events = EPOLLIN, .data.u64 = i};
        epoll_ctl(poller, EPOLL_CTL_ADD, connections[i].fd, &event);
    }
    for (uint64_t now; (now = now_ns()) < end && errors == 0;) {
        struct epoll_event events[CONNECTIONS_MAX];
        uint64_t next = end;
        for (size_t i = 0; i < count; i++) {
            if (!connections[i].is_waiting && connections[i].due_ns <= now)
                request_send(&connections[i], i * (keys / count), keys / count);
            if (!connections[i].is_waiting && connections[i].due_ns < next)
                next = connections[i].due_ns;
        }
        struct timespec until = {0, (long)((next > now ? next - now : 0) % 1000000000u)};
        int ready = epoll_pwait2(poller, events, CONNECTIONS_MAX, &until, NULL);
        for (int i = 0; i < ready; i++)
            if (!reply_take(&connections[events[i].data.u64], gap_ns))
                end = now;
    }
    printf("%llu %llu %llu %llu %llu %llu %llu\n", (unsigned long long)requests,
           (unsigned long long)errors, (unsigned long long)wrong, percentile_us(0.5),
           percentile_us(0.99), percentile_us(0.999), (unsigned long long)longest_us);
    return 0;
}
