/*
 * What each of a thousand threads lost is found, however many mappings Coroner needs for them: words
 * that allocations leave behind in memory of its own hold nothing.  On small stacks the work is done
 * on a stack of ours.
 *
 * FLAGS:  -pthread
 * RUN:    coroner run --format=json --output=report.json $CASE large
 * EXPECT: lost       blocks=1000 bytes=9000000 allocated_in=lose
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE small
 * EXPECT: lost       blocks=1000 bytes=9000000 allocated_in=lose
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE large twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <pthread.h>

enum { THREADS = 1000, SMALL_BYTES = 12 << 10 };

static bool is_small, is_twin;
static pthread_barrier_t all_there;
GLOBAL void *kept[THREADS];

static __thread ucontext_t own, coroutine;
static __thread int number;

NOINLINE static void *lose(void)
{
    void *volatile block = malloc(5000);
    block = realloc(block, 9000);
    fill(block, 9000);
    return block;
}

NOINLINE static void lose_one(void)
{
    void *block = lose();
    if (is_twin)
        kept[number] = block;
}

static void run(void)
{
    lose_one();
    char area[2000];
    memset(area, 0, sizeof area);
    __asm__ volatile("" : : "r"(area) : "memory");
}

static void *work(void *argument)
{
    number = (int)(intptr_t)argument;
    if (is_small) {
        char *stack =
            mmap(NULL, SMALL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        getcontext(&coroutine);
        coroutine.uc_stack.ss_sp = stack;
        coroutine.uc_stack.ss_size = SMALL_BYTES;
        coroutine.uc_link = &own;
        makecontext(&coroutine, run, 0);
        swapcontext(&own, &coroutine);
        munmap(stack, SMALL_BYTES);
    } else {
        lose_one();
    }
    wipe_stack();
    pthread_barrier_wait(&all_there);
    pause();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t attributes;
    (void)argc;
    is_small = said(argv, "small");
    is_twin = said(argv, "twin");
    pthread_barrier_init(&all_there, NULL, THREADS + 1);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 128 << 10);
    for (intptr_t i = 0; i < THREADS; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, &attributes, work, (void *)i) == 0);
    }
    pthread_barrier_wait(&all_there);
    wipe();
    return 0;
}
