/*
 * Many stacks: threads, ucontext coroutines that are resumed in turn and whose memory is used
 * again, a recursion deeper than we keep, and one that ends a few words above a guard page.
 *
 * STACKS:    20000
 * EVERY:     5
 * EXPLAINED: too_deep
 * FLAGS:     -pthread
 * BUILD:     gcc -O0 -O2
 * BUILD:     gcc -O2 -fno-omit-frame-pointer
 * BUILD:     clang -O2
 */
#include "unwind.h"

#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum { COROUTINES = 20, STACK_BYTES = 64 * 1024 };

static struct {
    ucontext_t context;
    char *stack;
    unsigned rounds;
} coroutines[COROUTINES];
static ucontext_t scheduler;
static unsigned current;

static void yield(void)
{
    swapcontext(&coroutines[current].context, &scheduler);
}

NOINLINE static void work(unsigned depth)
{
    volatile char room[32];
    room[0] = (char)depth;
    ALLOCATE();
    if (depth > 0)
        work(depth - 1);
    else
        yield();
    ALLOCATE();
    USE(room);
}

NOINLINE static void other_work(unsigned depth)
{
    if (depth > 1)
        other_work(depth - 2);
    else
        work(depth);
    NO_TAIL_CALL();
}

static void body(void)
{
    for (unsigned i = 0; i < coroutines[current].rounds; i++) {
        work(random_below(10));
        other_work(random_below(20));
    }
}

static void coroutines_run(void)
{
    for (unsigned life = 0; life < 5; life++) {
        volatile unsigned alive = 0;
        for (unsigned i = 0; i < COROUTINES; i++) {
            if (coroutines[i].stack == NULL)
                coroutines[i].stack = malloc(STACK_BYTES);
            coroutines[i].rounds = 1 + i;
            getcontext(&coroutines[i].context);
            coroutines[i].context.uc_stack.ss_sp = coroutines[i].stack;
            coroutines[i].context.uc_stack.ss_size = STACK_BYTES;
            coroutines[i].context.uc_link = &scheduler;
            makecontext(&coroutines[i].context, body, 0);
        }
        for (unsigned turn = 0; turn < 2 * COROUTINES + 1; turn++) {
            for (current = 0; current < COROUTINES; current++) {
                if (turn > 2 * coroutines[current].rounds)
                    continue;
                alive++;
                ALLOCATE();
                swapcontext(&scheduler, &coroutines[current].context);
            }
        }
        REQUIRE(alive > COROUTINES);
    }
}

NOINLINE static unsigned recurse(unsigned depth, unsigned every)
{
    unsigned deeper = 0;
    if (depth % every == 0)
        ALLOCATE();
    if (depth > 0)
        deeper = recurse(depth - 1, every);
    NO_TAIL_CALL();
    return deeper + 1;
}

NOINLINE static unsigned down_to(uintptr_t lowest)
{
    volatile char room[16];
    room[0] = 1;
    ALLOCATE();
    unsigned depth = (uintptr_t)&room > lowest ? down_to(lowest) + 1 : 0;
    ALLOCATE();
    USE(room);
    return depth;
}

static void *near_the_end(void *argument)
{
    (void)argument;
    pthread_attr_t attributes;
    void *start;
    size_t bytes;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &start, &bytes);
    pthread_attr_destroy(&attributes);
    for (unsigned i = 0; i < 20; i++) {
        down_to((uintptr_t)start + 1024); /* what free and malloc need of libc without us */
        recurse(30 + i, 3);
    }
    return NULL;
}

static void *walker(void *argument)
{
    for (unsigned i = 0; i < 300; i++)
        recurse((unsigned)(uintptr_t)argument + i % 20, 7);
    return NULL;
}

int main(void)
{
    pthread_t threads[4], small;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 40 * 1024);
    for (uintptr_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, walker, (void *)(10 * i)) == 0);
    REQUIRE(pthread_create(&small, &attributes, near_the_end, NULL) == 0);
    for (unsigned i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    pthread_join(small, NULL);
    coroutines_run();
    recurse(69999, 70000); /* too deep: its outermost callers are not kept */
    recurse(70000, 3500);
    recurse(100, 1);
    return 0;
}
