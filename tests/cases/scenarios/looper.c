/*
 * The framework of the scenarios.  See looper.h.
 */
#include "looper.h"

#include <errno.h>
#include <time.h>

/* Messages. */

static struct {
    pthread_mutex_t lock;
    struct message *first; /* the last one that came back is the first to go out */
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct message *message_obtain(void)
{
    pthread_mutex_lock(&pool.lock);
    struct message *message = pool.first;
    if (message != NULL)
        pool.first = message->next;
    pthread_mutex_unlock(&pool.lock);
    if (message == NULL) {
        message = calloc(1, sizeof *message);
        REQUIRE(message != NULL);
        message->holders = 1;
    }
    message->next = NULL;
    return message;
}

void message_release(struct message *message)
{
    if (atomic_fetch_sub(&message->holders, 1) != 1)
        return;
    if (message->drop != NULL)
        message->drop(message->object);
    free(message);
}

/* Empties a message that has been handled; the pool holds it in its sender's stead. */
static void message_recycle(struct message *message)
{
    message->handle = message->drop = NULL;
    message->object = NULL;
    pthread_mutex_lock(&pool.lock);
    message->next = pool.first;
    pool.first = message;
    pthread_mutex_unlock(&pool.lock);
}

/* Loopers. */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * (int64_t)1000 + now.tv_nsec / 1000000;
}

static void enqueue(struct looper *looper, struct message *message, int delay_ms)
{
    message->due_ms = delay_ms == 0 ? 0 : now_ms() + delay_ms + 1;
    pthread_mutex_lock(&looper->lock);
    struct message **link = &looper->first;
    while (*link != NULL && (*link)->due_ms <= message->due_ms)
        link = &(*link)->next;
    message->next = *link;
    *link = message;
    pthread_cond_broadcast(&looper->changed);
    pthread_mutex_unlock(&looper->lock);
}

void looper_send(struct looper *looper, struct message *message)
{
    enqueue(looper, message, 0);
}

void looper_post(struct looper *looper, int delay_ms, void (*handle)(void *), void *object)
{
    struct message *message = message_obtain();
    message->handle = handle;
    message->object = object;
    enqueue(looper, message, delay_ms);
}

/* Takes back a message that is not to be handled any more; answers false when it is too late. */
static bool unpost(struct looper *looper, void (*handle)(void *), void *object)
{
    pthread_mutex_lock(&looper->lock);
    struct message **link = &looper->first;
    while (*link != NULL && ((*link)->handle != handle || (*link)->object != object))
        link = &(*link)->next;
    struct message *message = *link;
    if (message != NULL)
        *link = message->next;
    pthread_mutex_unlock(&looper->lock);
    if (message != NULL)
        message_recycle(message);
    return message != NULL;
}

/* Waits for a change, or until a time. */
static void wait_locked(struct looper *looper, int64_t due_ms)
{
    struct timespec due = {due_ms / 1000, due_ms % 1000 * 1000000};
    looper->is_waiting = true;
    pthread_cond_broadcast(&looper->changed);
    if (due_ms == 0)
        pthread_cond_wait(&looper->changed, &looper->lock);
    else
        pthread_cond_timedwait(&looper->changed, &looper->lock, &due);
    looper->is_waiting = false;
}

/* The blocking take: the first message that is due, or NULL when the looper is to end. */
NOINLINE static struct message *take(struct looper *looper)
{
    pthread_mutex_lock(&looper->lock);
    while (looper->first != NULL || !looper->is_over) {
        if (looper->first == NULL) {
            wait_locked(looper, 0);
        } else if (looper->first->due_ms > now_ms()) {
            wait_locked(looper, looper->first->due_ms);
        } else {
            struct message *message = looper->first;
            looper->first = message->next;
            pthread_mutex_unlock(&looper->lock);
            return message;
        }
    }
    pthread_mutex_unlock(&looper->lock);
    return NULL;
}

NOINLINE static bool has_nothing(struct looper *looper)
{
    pthread_mutex_lock(&looper->lock);
    bool answer = looper->first == NULL;
    pthread_mutex_unlock(&looper->lock);
    return answer;
}

/* Takes one message and handles it; answers false when the looper is to end. */
NOINLINE static bool turn(struct looper *looper, struct message *volatile *last)
{
    struct message *message = take(looper);
    if (*last != NULL) {
        struct message *stale = *last;
        *last = NULL;
        message_release(stale);
    }
    if (message == NULL)
        return false;
    if (looper->keeps_last) {
        atomic_fetch_add(&message->holders, 1);
        *last = message;
    }
    if (message->handle != NULL)
        message->handle(message->object);
    message_recycle(message);
    return true;
}

/*
 * The loop.  A looper that keeps its last message has it in a local while it waits for the next
 * one: compilers leave such a local in memory or not, so here it is volatile.
 */
NOINLINE static void loop(struct looper *looper)
{
    struct message *volatile last = NULL;
    do {
        if (looper->idle != NULL && has_nothing(looper))
            looper->idle(looper);
        wipe();
    } while (turn(looper, &last));
}

void looper_run(struct looper *looper)
{
    loop(looper);
    pthread_mutex_lock(&looper->lock);
    looper->is_over = false;
    pthread_mutex_unlock(&looper->lock);
}

static void *thread_run(void *argument)
{
    struct looper *looper = argument;
    pthread_setname_np(pthread_self(), looper->name);
    loop(looper);
    return NULL;
}

void looper_start(struct looper *looper)
{
    REQUIRE(pthread_create(&looper->thread, NULL, thread_run, looper) == 0);
}

void looper_settle(struct looper *looper)
{
    pthread_mutex_lock(&looper->lock);
    while (!looper->is_waiting ||
           (looper->first != NULL && looper->first->due_ms < now_ms() + 1000))
        pthread_cond_wait(&looper->changed, &looper->lock);
    pthread_mutex_unlock(&looper->lock);
}

void looper_quit(struct looper *looper)
{
    pthread_mutex_lock(&looper->lock);
    looper->is_over = true;
    pthread_cond_broadcast(&looper->changed);
    pthread_mutex_unlock(&looper->lock);
}

void looper_join(struct looper *looper)
{
    looper_quit(looper);
    REQUIRE(pthread_join(looper->thread, NULL) == 0);
}

/* Jobs. */

struct job *jobs;
static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER; /* the tree, and who waits for what */
static pthread_cond_t job_ended = PTHREAD_COND_INITIALIZER;

static struct job **siblings(struct job *job)
{
    return job->parent != NULL ? &job->parent->children : &jobs;
}

struct job *job_new(struct job *parent, const char *name, bool is_supervisor)
{
    struct job *job = calloc(1, sizeof *job);
    REQUIRE(job != NULL);
    job->name = name;
    job->parent = parent;
    job->is_supervisor = is_supervisor;
    pthread_mutex_lock(&job_lock);
    job->is_cancelled = parent != NULL && parent->is_cancelled;
    job->next = *siblings(job);
    *siblings(job) = job;
    pthread_mutex_unlock(&job_lock);
    return job;
}

void job_forget(struct job *job)
{
    pthread_mutex_lock(&job_lock);
    struct job **link = siblings(job);
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    job->next = NULL;
    pthread_cond_broadcast(&job_ended);
    pthread_mutex_unlock(&job_lock);
}

void job_free(struct job *job)
{
    REQUIRE(job->children == NULL);
    job_forget(job);
    free(job);
}

void job_join(struct job *job)
{
    pthread_mutex_lock(&job_lock);
    while (job->children != NULL)
        pthread_cond_wait(&job_ended, &job_lock);
    pthread_mutex_unlock(&job_lock);
}

static void wake_locked(struct frame *frame);
static void job_cancel_locked(struct job *job);

static void children_cancel_locked(struct job *job)
{
    for (struct job *child = job->children; child != NULL; child = child->next)
        job_cancel_locked(child);
}

static void job_cancel_locked(struct job *job)
{
    struct frame *frame = job->continuation;
    if (!job->is_cancelled) {
        job->is_cancelled = true;
        if (frame != NULL) {
            coroner_co_cancel(frame->co);
            if (frame->is_waiting && frame->hook != NULL && frame->hook(frame))
                wake_locked(frame);
        }
    }
    children_cancel_locked(job);
}

void job_cancel(struct job *job)
{
    pthread_mutex_lock(&job_lock);
    job_cancel_locked(job);
    pthread_mutex_unlock(&job_lock);
}

void job_cancel_children(struct job *job)
{
    pthread_mutex_lock(&job_lock);
    children_cancel_locked(job);
    pthread_mutex_unlock(&job_lock);
}

unsigned job_children(struct job *job)
{
    unsigned count = 0;
    pthread_mutex_lock(&job_lock);
    for (struct job *child = job->children; child != NULL; child = child->next)
        count++;
    pthread_mutex_unlock(&job_lock);
    return count;
}

/* Coroutines. */

struct frame *launch(struct job *parent, struct looper *looper, const char *name, size_t bytes,
                     void (*go_on)(struct frame *), void (*drop)(struct frame *))
{
    struct frame *frame = calloc(1, bytes);
    REQUIRE(frame != NULL);
    frame->looper = looper;
    frame->go_on = go_on;
    frame->drop = drop;
    frame->co = coroner_co_begin(name, frame, bytes);
    frame->job = job_new(parent, name, false);
    pthread_mutex_lock(&job_lock);
    frame->job->continuation = frame;
    if (frame->job->is_cancelled)
        coroner_co_cancel(frame->co);
    pthread_mutex_unlock(&job_lock);
    return frame;
}

static void frame_run(void *object)
{
    struct frame *frame = object;
    coroner_co_resume(frame->co);
    frame->has_failed = !is_active(frame);
    frame->go_on(frame);
}

void start(struct frame *frame)
{
    looper_post(frame->looper, 0, frame_run, frame);
}

void hop(struct frame *frame, struct looper *looper)
{
    frame->looper = looper;
    coroner_co_suspend(frame->co);
    looper_post(looper, 0, frame_run, frame);
}

static void suspend_locked(struct frame *frame, bool (*hook)(struct frame *frame))
{
    frame->hook = hook;
    frame->is_waiting = true;
    coroner_co_suspend_cancellable(frame->co, hook != NULL);
}

void suspend(struct frame *frame, bool (*hook)(struct frame *frame))
{
    pthread_mutex_lock(&job_lock);
    suspend_locked(frame, hook);
    pthread_mutex_unlock(&job_lock);
}

static void wake_locked(struct frame *frame)
{
    if (frame->is_waiting)
        looper_post(frame->looper, 0, frame_run, frame);
    frame->is_waiting = false;
}

void wake(struct frame *frame)
{
    pthread_mutex_lock(&job_lock);
    wake_locked(frame);
    pthread_mutex_unlock(&job_lock);
}

static void delay_over(void *object)
{
    struct frame *frame = object;
    pthread_mutex_lock(&job_lock);
    frame->is_waiting = false;
    pthread_mutex_unlock(&job_lock);
    frame_run(frame);
}

/* When it is too late to take the timer's message back, that one wakes the coroutine. */
static bool delay_cancel(struct frame *frame)
{
    return unpost(frame->looper, delay_over, frame);
}

void delay(struct frame *frame, int ms)
{
    pthread_mutex_lock(&job_lock);
    suspend_locked(frame, delay_cancel);
    looper_post(frame->looper, ms, delay_over, frame);
    pthread_mutex_unlock(&job_lock);
}

bool is_active(struct frame *frame)
{
    if (!frame->job->is_cancelled)
        return true;
    coroner_co_cancel_seen(frame->co);
    return false;
}

static void frame_drop(struct frame *frame)
{
    if (frame->drop != NULL)
        frame->drop(frame);
    frame->drop = NULL;
}

static void frame_destroy(void *object)
{
    struct frame *frame = object;
    frame_drop(frame);
    coroner_co_destroy(frame->co);
    free(frame);
}

/* Tells that it has ended; its job knows it no more, but for those that keep it. */
static void complete(struct frame *frame)
{
    pthread_mutex_lock(&job_lock);
    coroner_co_complete(frame->co);
    if (!frame->job->keeps_continuation)
        frame->job->continuation = NULL;
    pthread_mutex_unlock(&job_lock);
}

void finish(struct frame *frame)
{
    struct job *job = frame->job;
    if (!job->keeps_continuation)
        frame_drop(frame);
    complete(frame);
    if (!job->keeps_continuation)
        frame_destroy(frame);
    if (!job->keeps_continuation && !job->is_kept)
        job_free(job);
}

void retire(struct frame *frame, struct looper *reclaimer)
{
    struct job *job = frame->job;
    coroner_co_retire(frame->co);
    complete(frame);
    looper_post(reclaimer, 20, frame_destroy, frame);
    job_free(job);
}

void fail(struct frame *frame)
{
    struct job *top = frame->job;
    pthread_mutex_lock(&job_lock);
    while (top->parent != NULL && !top->parent->is_supervisor)
        top = top->parent;
    frame->job->is_cancelled = true; /* it need not be told */
    if (top != frame->job)
        job_cancel_locked(top);
    pthread_mutex_unlock(&job_lock);
    finish(frame);
}

void end_scope(coroner_scope scope, bool has_findings)
{
    size_t count = coroner_scope_end(scope, CORONER_SILENT);
    REQUIRE(!coroner_is_active() || (count > 0) == has_findings);
}
