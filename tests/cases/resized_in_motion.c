/*
 * Threads resize blocks in every way there is, where they are and away from it, while checks come
 * again and again.  Each block is held all the time, and alone holds a child: no check may find
 * either leaked.  On a stack with little room the work is done on one of Coroner's, and while it
 * lasts the only pointer to the block may be there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE small
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>
#include <stdatomic.h>

void *rallocx(void *block, size_t bytes, int flags) __attribute__((weak));
size_t xallocx(void *block, size_t bytes, size_t extra, int flags) __attribute__((weak));

enum { CHECKS = 150, SMALL_STACK_BYTES = 9216, ALIGN_256 = 8, NO_CACHE = 1 << 8 };

struct table {
    char *child;
};

typedef struct table *resizer(struct table *table, size_t bytes);

NOINLINE static struct table *by_realloc(struct table *table, size_t bytes)
{
    return realloc(table, bytes);
}

NOINLINE static struct table *by_reallocarray(struct table *table, size_t bytes)
{
    return reallocarray(table, bytes / 4, 4);
}

NOINLINE static struct table *by_rallocx(struct table *table, size_t bytes)
{
    return rallocx(table, bytes, NO_CACHE);
}

NOINLINE static struct table *by_aligned_rallocx(struct table *table, size_t bytes)
{
    return rallocx(table, bytes, ALIGN_256);
}

NOINLINE static struct table *by_xallocx(struct table *table, size_t bytes)
{
    xallocx(table, bytes, 0, 0);
    return table;
}

static const struct way {
    resizer *resize;
    size_t low, high;
} ways[] = {
    {by_realloc, 100, 104},           {by_realloc, 100, 3000},    {by_realloc, 40000, 80000},
    {by_reallocarray, 52, 5000},      {by_rallocx, 100, 112},     {by_rallocx, 200, 30000},
    {by_aligned_rallocx, 1000, 2000}, {by_xallocx, 81920, 90000},
};
enum { WAYS = sizeof ways / sizeof *ways };

GLOBAL struct table *volatile tables[WAYS];
GLOBAL atomic_bool has_ended;
GLOBAL bool is_small;

struct worker {
    unsigned number;
    ucontext_t back, context;
};

/* Now and then it sleeps, so that the others get on, too. */
static void resize_on_and_on(unsigned number)
{
    const struct way *way = &ways[number];
    for (unsigned round = 0; !has_ended; round++) {
        tables[number] = way->resize(tables[number], round % 2 != 0 ? way->low : way->high);
        if (round % 64 == 0)
            usleep(50);
    }
}

static void run(unsigned low, unsigned high)
{
    struct worker *worker = (struct worker *)(low | (uintptr_t)high << 32);
    resize_on_and_on(worker->number);
}

static void *work(void *argument)
{
    struct worker *worker = argument;
    if (!is_small) {
        resize_on_and_on(worker->number);
        return NULL;
    }
    getcontext(&worker->context);
    worker->context.uc_stack.ss_sp = malloc(SMALL_STACK_BYTES);
    worker->context.uc_stack.ss_size = SMALL_STACK_BYTES;
    worker->context.uc_link = &worker->back;
    makecontext(&worker->context, (void (*)(void))run, 2, (unsigned)(uintptr_t)worker,
                (unsigned)((uintptr_t)worker >> 32));
    swapcontext(&worker->back, &worker->context);
    free(worker->context.uc_stack.ss_sp);
    return NULL;
}

NOINLINE static void tables_make(void)
{
    for (unsigned i = 0; i < WAYS; i++) {
        tables[i] = calloc(1, ways[i].high);
        tables[i]->child = malloc(50 + i);
        fill(tables[i]->child, 50 + i);
    }
}

int main(int argc, char **argv)
{
    static struct worker workers[WAYS];
    pthread_t threads[WAYS];
    (void)argc;
    is_small = said(argv, "small");
    tables_make();
    for (unsigned i = 0; i < WAYS; i++) {
        workers[i].number = i;
        REQUIRE(pthread_create(&threads[i], NULL, work, &workers[i]) == 0);
    }
    for (unsigned i = 0; i < CHECKS; i++) {
        struct coroner_summary summary = {0};
        coroner_check(CORONER_SILENT, &summary);
        REQUIRE(summary.leaked_blocks == 0);
    }
    if (!is_small)
        return 0; /* the last check meets them at work, too */
    has_ended = true;
    for (unsigned i = 0; i < WAYS; i++)
        pthread_join(threads[i], NULL);
    wipe();
    return 0;
}
