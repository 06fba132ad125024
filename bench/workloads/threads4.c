/*
 * Four threads in a ring.  Each makes small blocks; every other one goes through a table of the
 * thread's own and is freed there, the rest goes to the next thread in batches, and that one reads
 * and frees it:
 *
 *     thread 0 --batches--> thread 1 --> thread 2 --> thread 3 --> thread 0
 *
 * Nobody spins: who finds the next queue full serves its own, and sleeps when that is empty too.
 * The second argument is the number of threads; one thread passes to itself.  The work is the same
 * in all, so that its CPU time shows what threads cost.
 */
#include "workload.h"

#include <pthread.h>

enum { THREADS_MAX = 64, BATCH = 512, QUEUE = 16, SLOTS = 4096, SMALLEST = 16, LARGEST = 256 };
enum { BLOCKS = 12000000 };

/* A block begins with its own size. */
struct batch {
    size_t *blocks[BATCH];
};

struct worker {
    pthread_t thread;
    struct worker *next;
    size_t batches, sum;
    uint64_t dice;
    size_t *own[SLOTS];
    /* What came and is not served yet, protected by the lock of the ring. */
    struct batch *queue[QUEUE];
    size_t came, served;
    int is_closed;
    pthread_cond_t changed;
};

static struct worker workers[THREADS_MAX];
static pthread_mutex_t ring = PTHREAD_MUTEX_INITIALIZER;

static size_t *block_make(struct worker *self)
{
    size_t bytes = SMALLEST + roll_below(&self->dice, LARGEST - SMALLEST + 1);
    size_t *block = malloc(bytes);
    REQUIRE(block != NULL);
    block_fill(block, bytes, roll(&self->dice));
    *block = bytes;
    return block;
}

static void block_end(struct worker *self, size_t *block)
{
    self->sum += block_sum(block, *block);
    free(block);
}

static void batch_serve(struct worker *self, struct batch *batch)
{
    for (int i = 0; i < BATCH; i++)
        block_end(self, batch->blocks[i]);
    free(batch);
}

/* Takes the oldest batch of our own queue; NULL when it is empty. */
static struct batch *batch_take_locked(struct worker *self)
{
    if (self->came == self->served)
        return NULL;
    struct batch *batch = self->queue[self->served++ % QUEUE];
    for (struct worker *each = workers; each < workers + THREADS_MAX; each++)
        if (each->next == self)
            pthread_cond_signal(&each->changed);
    return batch;
}

/* Serves one batch of ours, or sleeps until something has changed. */
static void serve_or_sleep_locked(struct worker *self)
{
    struct batch *batch = batch_take_locked(self);
    if (batch == NULL) {
        pthread_cond_wait(&self->changed, &ring);
        return;
    }
    pthread_mutex_unlock(&ring);
    batch_serve(self, batch);
    pthread_mutex_lock(&ring);
}

static void batch_pass(struct worker *self, struct batch *batch)
{
    struct worker *next = self->next;
    pthread_mutex_lock(&ring);
    while (next->came - next->served == QUEUE)
        serve_or_sleep_locked(self);
    next->queue[next->came++ % QUEUE] = batch;
    pthread_cond_signal(&next->changed);
    pthread_mutex_unlock(&ring);
}

static void *work(void *argument)
{
    struct worker *self = argument;
    for (size_t i = 0; i < self->batches; i++) {
        struct batch *batch = malloc(sizeof *batch);
        REQUIRE(batch != NULL);
        for (int j = 0; j < BATCH; j++) {
            size_t **slot = &self->own[roll_below(&self->dice, SLOTS)];
            if (*slot != NULL)
                block_end(self, *slot);
            *slot = block_make(self);
            batch->blocks[j] = block_make(self);
        }
        batch_pass(self, batch);
    }
    pthread_mutex_lock(&ring);
    self->next->is_closed = 1;
    pthread_cond_signal(&self->next->changed);
    while (!self->is_closed || self->came != self->served)
        serve_or_sleep_locked(self);
    pthread_mutex_unlock(&ring);
    for (int i = 0; i < SLOTS; i++)
        if (self->own[i] != NULL)
            block_end(self, self->own[i]);
    return NULL;
}

int main(int argc, char **argv)
{
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 4, sum = 0;
    REQUIRE(count > 0 && count <= THREADS_MAX);
    for (size_t i = 0; i < count; i++) {
        workers[i].next = &workers[(i + 1) % count];
        workers[i].batches = scaled(argc, argv, BLOCKS) / (2 * BATCH) / count;
        workers[i].dice = 88172645463325252u + i;
        pthread_cond_init(&workers[i].changed, NULL);
    }
    for (size_t i = 0; i < count; i++)
        REQUIRE(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    for (size_t i = 0; i < count; i++) {
        REQUIRE(pthread_join(workers[i].thread, NULL) == 0);
        sum += workers[i].sum;
    }
    sum_print("threads", sum);
    return 0;
}
