/*
 * A worker that waits for its next message, and whose loop still has the last one in a local that
 * it will not read again: message -> listener -> activity.  Eight shapes of loop; in the twin of
 * each the loop gives the last message back before it takes the next one.
 *
 *     loops SHAPE [twin]
 *
 * Says how many words of the worker's stack point to the message when the program ends.
 */
#include "../cases/case.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

struct activity {
    char pixels[3000];
};
struct listener {
    struct activity *activity;
};
struct message {
    struct listener *listener;
    unsigned what;
};

enum { RING = 8 };
GLOBAL struct message *volatile ring[RING];
GLOBAL volatile unsigned ring_head, ring_tail;
GLOBAL pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
GLOBAL pthread_cond_t filled = PTHREAD_COND_INITIALIZER;
GLOBAL sem_t count;
GLOBAL int pipe_ends[2], poller;
GLOBAL volatile unsigned handled, released;
GLOBAL volatile int worker_id;
GLOBAL char *volatile worker_top;
GLOBAL uintptr_t hidden;

NOINLINE static struct message *make_message(void)
{
    struct message *message = malloc(sizeof *message);
    message->listener = malloc(sizeof *message->listener);
    message->listener->activity = malloc(sizeof *message->listener->activity);
    fill(message->listener->activity, sizeof *message->listener->activity);
    message->what = 1;
    return message;
}

NOINLINE static void handle(struct message *message)
{
    message->listener->activity->pixels[0]++;
    handled++;
}

/* What the twins do with the message before. */
NOINLINE static void release(struct message *message)
{
    free(message->listener->activity);
    free(message->listener);
    free(message);
    released++;
}

/* The next message, with the lock held. */
NOINLINE static struct message *pop(void)
{
    unsigned at = ring_tail++ % RING;
    struct message *message = ring[at];
    ring[at] = NULL;
    return message;
}

NOINLINE static struct message *take(void)
{
    pthread_mutex_lock(&lock);
    while (ring_head == ring_tail)
        pthread_cond_wait(&filled, &lock);
    struct message *message = pop();
    pthread_mutex_unlock(&lock);
    return message;
}

/* Waits for what `post` tells an epoll descriptor, and takes it. */
NOINLINE static struct message *take_polled(void)
{
    char byte;
    REQUIRE(read(pipe_ends[0], &byte, 1) == 1);
    return pop();
}

#define AGAIN(twin, message)  \
    do {                      \
        if (twin && message)  \
            release(message); \
    } while (0)

/*
 * `name` and name_twin.  In the body TWIN is 1 or 0 and the local is `message`; GIVE_BACK stands
 * behind the call that waits.
 */
#define SHAPE(name, ...)                   \
    NOINLINE static void name(void)        \
    {                                      \
        enum { TWIN = 0 };                 \
        struct message *message;           \
        __VA_ARGS__                        \
    }                                      \
    NOINLINE static void name##_twin(void) \
    {                                      \
        enum { TWIN = 1 };                 \
        struct message *message = NULL;    \
        __VA_ARGS__                        \
    }

#define NEXT(expression)                     \
    if (TWIN) {                              \
        struct message *next = (expression); \
        if (message != NULL)                 \
            release(message);                \
        message = next;                      \
    } else {                                 \
        message = (expression);              \
    }

SHAPE(
    queue, for (;;) {
        NEXT(take())
        if (message == NULL)
            return;
        handle(message);
    })

SHAPE(
    condition, for (;;) {
        pthread_mutex_lock(&lock);
        while (ring_head == ring_tail)
            pthread_cond_wait(&filled, &lock);
        NEXT(pop())
        pthread_mutex_unlock(&lock);
        handle(message);
    })

SHAPE(
    polled, struct epoll_event events[4]; for (;;) {
        int ready = epoll_wait(poller, events, 4, -1);
        for (int i = 0; i < ready; i++) {
            NEXT(take_polled())
            handle(message);
        }
    })

SHAPE(
    reading, unsigned char byte; while (read(pipe_ends[0], &byte, 1) == 1) {
        NEXT(pop())
        handle(message);
    })

SHAPE(
    semaphore, for (;;) {
        while (sem_wait(&count) != 0)
            ;
        NEXT(pop())
        handle(message);
    })

typedef void handler(struct message *message);
GLOBAL handler *handlers[] = {NULL, handle};

SHAPE(
    callbacks, struct message *(*volatile source)(void) = take; for (;;) {
        NEXT(source())
        handlers[message->what](message);
    })

enum state { WAITING, RUNNING, STOPPED };
SHAPE(
    machine, enum state state = WAITING; while (state != STOPPED) {
        switch (state) {
        case WAITING:
            NEXT(take())
            state = message != NULL ? RUNNING : STOPPED;
            break;
        case RUNNING:
            handle(message);
            state = WAITING;
            break;
        default:
            return;
        }
    })

/* A loop inside the loop, as a dialog has one. */
NOINLINE static void dialog(void)
{
    struct message *message = take();
    while (message != NULL) {
        handle(message);
        message = take();
    }
    handled++;
}

SHAPE(
    nested, for (;;) {
        NEXT(take())
        if (message == NULL)
            break;
        handle(message);
        dialog();
        if (TWIN) {
            release(message);
            message = NULL;
        }
    })

static const struct {
    const char *name;
    void (*loop)(void), (*twin)(void);
} shapes[] = {
    {"queue", queue, queue_twin},
    {"condition", condition, condition_twin},
    {"polled", polled, polled_twin},
    {"reading", reading, reading_twin},
    {"semaphore", semaphore, semaphore_twin},
    {"callbacks", callbacks, callbacks_twin},
    {"machine", machine, machine_twin},
    {"nested", nested, nested_twin},
};

GLOBAL void (*loop)(void);

NOINLINE static void *work(void *unused)
{
    (void)unused;
    worker_top = __builtin_frame_address(0);
    worker_id = (int)syscall(SYS_gettid);
    loop();
    return NULL;
}

NOINLINE static void post(void)
{
    struct message *message = make_message();
    hidden = hide(message);
    pthread_mutex_lock(&lock);
    ring[ring_head++ % RING] = message;
    pthread_cond_signal(&filled);
    pthread_mutex_unlock(&lock);
    sem_post(&count);
    REQUIRE(write(pipe_ends[1], "", 1) == 1);
}

/* The worker's sp, once it waits in a call; NULL: it runs. */
NOINLINE static char *waiting_sp(void)
{
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", worker_id);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = read(fd, text, sizeof text - 1);
    close(fd);
    text[bytes > 0 ? bytes : 0] = 0;
    char *last = strrchr(text, ' '), *sp = NULL;
    if (last != NULL && text[0] != '-') {
        *last = 0;
        last = strrchr(text, ' ');
        sp = last != NULL ? (char *)strtoull(last + 1, NULL, 16) : NULL;
    }
    return sp;
}

/* Waits until the worker has handled the message and waits for another. */
NOINLINE static char *settle(void)
{
    char *sp = NULL;
    for (int i = 0; i < 20; sp != NULL && handled > 0 ? i++ : 0) {
        usleep(1000);
        sp = waiting_sp();
    }
    return sp;
}

NOINLINE static unsigned search(char *sp)
{
    unsigned found = 0;
    for (char *at = sp; at < worker_top; at += sizeof(uintptr_t))
        found += *(volatile uintptr_t *)at == ~hidden;
    return found;
}

int main(int argc, char **argv)
{
    REQUIRE(argc > 1);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(shapes[i].name, argv[1]) == 0)
            loop = said(argv, "twin") ? shapes[i].twin : shapes[i].loop;
    REQUIRE(loop != NULL && pipe(pipe_ends) == 0 && sem_init(&count, 0, 0) == 0);
    poller = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    REQUIRE(epoll_ctl(poller, EPOLL_CTL_ADD, pipe_ends[0], &event) == 0);
    pthread_t worker;
    REQUIRE(pthread_create(&worker, NULL, work, NULL) == 0);
    while (worker_id == 0)
        usleep(1000);
    post();
    printf("%u\n", search(settle()));
    wipe();
    return 0;
}
