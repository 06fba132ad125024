/*
 * A server that runs for hours: it parses what it is sent into trees, answers, and keeps the last
 * tree of each of 4,096 names.
 *
 *     server threads       a thread for each connection
 *     server coroutines    one thread, a ucontext coroutine for each connection, one epoll
 *
 * It prints the port of 127.0.0.1 that it listens on.  A request is a line: "NAME SEED" builds a
 * tree and answers how many nodes the one before had; "quit" ends the server, which then frees all
 * that it holds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <ucontext.h>
#include <unistd.h>

enum { NAMES = 4096, LINE_BYTES = 256, STACK_BYTES = 64 << 10, EVENTS = 64 };

struct node {
    struct node *left, *right;
    size_t bytes;
    char text[];
};

static struct node *kept[NAMES];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static volatile bool is_over;
static int listener;

static void require(bool is_so, const char *what)
{
    if (is_so)
        return;
    perror(what);
    _exit(99);
}

static uint32_t next_random(uint32_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 17;
    *seed ^= *seed << 5;
    return *seed;
}

static struct node *tree_make(uint32_t *seed, unsigned depth)
{
    size_t bytes = next_random(seed) % 200;
    struct node *node = malloc(sizeof *node + bytes);
    require(node != NULL, "malloc");
    memset(node->text, 'x', bytes);
    node->bytes = bytes;
    node->left = depth > 0 && next_random(seed) % 4 != 0 ? tree_make(seed, depth - 1) : NULL;
    node->right = depth > 0 && next_random(seed) % 4 != 0 ? tree_make(seed, depth - 1) : NULL;
    return node;
}

static unsigned tree_free(struct node *node)
{
    if (node == NULL)
        return 0;
    unsigned count = 1 + tree_free(node->left) + tree_free(node->right);
    free(node);
    return count;
}

/* Makes the answer to a line; its end stands for "no more". */
static size_t answer_make(const char *line, char *answer)
{
    unsigned name = 0;
    uint32_t seed = 1;
    if (strcmp(line, "quit") == 0)
        is_over = true;
    if (sscanf(line, "%u %u", &name, &seed) != 2 || seed == 0)
        return 0;
    struct node *fresh = tree_make(&seed, 6);
    pthread_mutex_lock(&kept_lock);
    struct node *old = kept[name % NAMES];
    kept[name % NAMES] = fresh;
    pthread_mutex_unlock(&kept_lock);
    return (size_t)snprintf(answer, LINE_BYTES, "%u\n", tree_free(old));
}

/*
 * Serves one connection to its end.  `read_some` waits for bytes in the way of who calls.
 */
static void connection_serve(int fd, ssize_t (*read_some)(int, void *, size_t))
{
    char *line = malloc(LINE_BYTES), answer[LINE_BYTES];
    size_t used = 0;
    ssize_t count;
    require(line != NULL, "malloc");
    while (!is_over && used < LINE_BYTES &&
           (count = read_some(fd, line + used, LINE_BYTES - used)) > 0) {
        used += (size_t)count;
        for (char *end; (end = memchr(line, '\n', used)) != NULL;) {
            *end = 0;
            size_t bytes = answer_make(line, answer);
            if (bytes > 0 && send(fd, answer, bytes, MSG_NOSIGNAL) < 0)
                break;
            used -= (size_t)(end + 1 - line);
            memmove(line, end + 1, used);
        }
    }
    free(line);
    close(fd);
}

static _Atomic int serving;

static void *thread_run(void *fd)
{
    connection_serve((int)(intptr_t)fd, read);
    serving--;
    if (is_over)
        shutdown(listener, SHUT_RDWR);
    return NULL;
}

static void serve_by_threads(void)
{
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 256 << 10);
    for (int fd; !is_over && (fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
        pthread_t thread;
        serving++;
        require(pthread_create(&thread, &detached, thread_run, (void *)(intptr_t)fd) == 0,
                "pthread_create");
    }
    while (serving > 0)
        usleep(1000);
    pthread_attr_destroy(&detached);
}

struct coroutine {
    ucontext_t context;
    int fd;
    bool has_ended;
    char *stack;
};

static ucontext_t scheduler;
static struct coroutine *running;
static int poller;

static ssize_t coroutine_read(int fd, void *buffer, size_t bytes)
{
    for (;;) {
        ssize_t count = recv(fd, buffer, bytes, MSG_DONTWAIT);
        if (count >= 0 || errno != EAGAIN)
            return count;
        swapcontext(&running->context, &scheduler);
        if (is_over)
            return 0;
    }
}

static void coroutine_run(void)
{
    connection_serve(running->fd, coroutine_read);
    running->has_ended = true;
}

static void coroutine_start(int fd)
{
    struct coroutine *fresh = calloc(1, sizeof *fresh);
    require(fresh != NULL && (fresh->stack = malloc(STACK_BYTES)) != NULL, "malloc");
    fresh->fd = fd;
    getcontext(&fresh->context);
    fresh->context.uc_stack.ss_sp = fresh->stack;
    fresh->context.uc_stack.ss_size = STACK_BYTES;
    fresh->context.uc_link = &scheduler;
    makecontext(&fresh->context, coroutine_run, 0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = fresh};
    require(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
    serving++;
}

/* Runs it until it waits; what has ended is freed. */
static void coroutine_resume(struct coroutine *coroutine)
{
    running = coroutine;
    swapcontext(&scheduler, &coroutine->context);
    running = NULL;
    if (!coroutine->has_ended)
        return;
    free(coroutine->stack);
    free(coroutine);
    serving--;
}

static void serve_by_coroutines(void)
{
    struct epoll_event events[EVENTS], event = {.events = EPOLLIN, .data.ptr = NULL};
    poller = epoll_create1(EPOLL_CLOEXEC);
    require(epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) == 0, "epoll_ctl");
    while (!is_over || serving > 0) {
        int count = epoll_wait(poller, events, EVENTS, 1000);
        for (int i = 0; i < count; i++) {
            int fd = -1;
            if (events[i].data.ptr != NULL)
                coroutine_resume(events[i].data.ptr);
            else if ((fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC)) >= 0)
                coroutine_start(fd);
        }
    }
    close(poller);
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t bytes = sizeof address;
    errno = EINVAL;
    require(argc > 1, "usage: server threads | coroutines");
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(listener >= 0 && bind(listener, (void *)&address, bytes) == 0 &&
                listen(listener, 128) == 0 && getsockname(listener, (void *)&address, &bytes) == 0,
            "listen");
    printf("%u\n", ntohs(address.sin_port));
    fflush(stdout);
    if (strcmp(argv[1], "threads") == 0)
        serve_by_threads();
    else
        serve_by_coroutines();
    close(listener);
    for (unsigned i = 0; i < NAMES; i++)
        tree_free(kept[i]);
    memset(kept, 0, sizeof kept);
    return 0;
}
