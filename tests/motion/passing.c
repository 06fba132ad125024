/*
 * Blocks on their way: for a while only a pipe, a socket, memory that a fork shares or does not
 * have, or data of epoll holds the pointer, and all of it moves on and on.
 */
#include "motion.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 64, WAYS = 6, PAGE = 4096, BYTES_MOST = 400 };

/* A ring in memory of a kind, for one writer and one reader. */
struct ring {
    _Atomic(char *) slots[SLOTS];
};

/* A way from one thread to another: puts a block in, or takes one out; NULL: there is none. */
struct way {
    bool (*put)(struct way *way, char *block);
    char *(*take)(struct way *way);
    int ends[2];
    struct ring *ring;
    unsigned put_at, take_at;
};

static bool put_written(struct way *way, char *block)
{
    return write(way->ends[1], &block, sizeof block) == sizeof block;
}

static char *take_read(struct way *way)
{
    char *block = NULL;
    return read(way->ends[0], &block, sizeof block) == sizeof block ? block : NULL;
}

static bool put_ring(struct way *way, char *block)
{
    _Atomic(char *) *slot = &way->ring->slots[way->put_at % SLOTS];
    if (*slot != NULL)
        return false;
    *slot = block;
    way->put_at++;
    return true;
}

static char *take_ring(struct way *way)
{
    char *block = atomic_exchange(&way->ring->slots[way->take_at % SLOTS], NULL);
    way->take_at += block != NULL;
    return block;
}

/* An eventfd whose registration holds the block: ends[0] is the epoll descriptor. */
static bool put_epoll(struct way *way, char *block)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = block};
    int fd = eventfd(1, EFD_CLOEXEC);
    memcpy(block, &fd, sizeof fd);
    MOTION_REQUIRE(epoll_ctl(way->ends[0], EPOLL_CTL_ADD, fd, &event) == 0);
    return true;
}

static char *take_epoll(struct way *way)
{
    struct epoll_event event;
    int fd;
    if (epoll_wait(way->ends[0], &event, 1, 0) != 1)
        return NULL;
    memcpy(&fd, event.data.ptr, sizeof fd);
    MOTION_REQUIRE(epoll_ctl(way->ends[0], EPOLL_CTL_DEL, fd, NULL) == 0);
    close(fd);
    return event.data.ptr;
}

static struct way ways[WAYS];

static void *memory_map(int flags)
{
    void *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    MOTION_REQUIRE(memory != MAP_FAILED);
    return memory;
}

static void ways_open(void)
{
    for (unsigned i = 0; i < 2; i++)
        ways[i] = (struct way){.put = put_written, .take = take_read};
    MOTION_REQUIRE(pipe2(ways[0].ends, O_NONBLOCK) == 0);
    MOTION_REQUIRE(socketpair(AF_UNIX, SOCK_DGRAM, 0, ways[1].ends) == 0);
    for (unsigned i = 2; i < 5; i++) {
        ways[i] = (struct way){.put = put_ring, .take = take_ring};
        ways[i].ring = memory_map(i == 2 ? MAP_SHARED : MAP_PRIVATE);
    }
    MOTION_REQUIRE(madvise(ways[3].ring, PAGE, MADV_DONTFORK) == 0);
    MOTION_REQUIRE(madvise(ways[4].ring, PAGE, MADV_WIPEONFORK) == 0);
    ways[5] = (struct way){.put = put_epoll, .take = take_epoll, .ends = {epoll_create1(0), -1}};
}

static void *put_all(void *argument)
{
    struct way *way = argument;
    unsigned long random = (unsigned long)(way - ways);
    while (motion_is_on()) {
        char *block = malloc(16 + motion_random(&random, BYTES_MOST));
        block[sizeof(int)] = 'p';
        while (!way->put(way, block))
            if (!motion_is_on()) {
                free(block);
                return NULL;
            }
        block = NULL;
        motion_wipe();
        if (motion_random(&random, 8) == 0)
            nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
    }
    return NULL;
}

static void *take_all(void *argument)
{
    struct way *way = argument;
    while (motion_is_on()) {
        char *block = way->take(way);
        if (block == NULL) {
            nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
            continue;
        }
        MOTION_REQUIRE(block[sizeof(int)] == 'p');
        free(block);
        block = NULL;
        motion_wipe();
    }
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[2 * WAYS];
    motion_begin(argc, argv);
    ways_open();
    for (unsigned i = 0; i < 2; i++) {
        MOTION_REQUIRE(setsockopt(ways[1].ends[i], SOL_SOCKET, SO_RCVTIMEO,
                                  &(struct timeval){.tv_usec = 20000},
                                  sizeof(struct timeval)) == 0);
        MOTION_REQUIRE(setsockopt(ways[1].ends[i], SOL_SOCKET, SO_SNDTIMEO,
                                  &(struct timeval){.tv_usec = 20000},
                                  sizeof(struct timeval)) == 0);
    }
    for (unsigned i = 0; i < 2 * WAYS; i++)
        pthread_create(&threads[i], NULL, i % 2 == 0 ? put_all : take_all, &ways[i / 2]);
    while (motion_goes_on())
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    for (unsigned i = 0; i < 2 * WAYS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < WAYS; i++)
        for (char *block; (block = ways[i].take(&ways[i])) != NULL;)
            free(block);
    return motion_end("all blocks arrived");
}
