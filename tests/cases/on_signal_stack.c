/*
 * A check meets a thread in a signal handler, on the program's alternate stack.  What the handler's
 * frames hold is live, and so is what the interrupted frames hold, on the thread's own stack.  What
 * frames held that are over, on either stack, is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler
 * EXPECT: stdout     /^0 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE interrupted
 * EXPECT: stdout     /^0 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler over
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE interrupted over
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * The kernel takes the stack away while a handler is on it.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler disarmed
 * EXPECT: stdout     /^0 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler over disarmed
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE interrupted over disarmed
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * It may lie in a block, or in a variable.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler block
 * EXPECT: stdout     /^0 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE handler over block
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE interrupted over variable
 * EXPECT: stdout     /^200 leaked\n$/
 * EXPECT: summary    coroutines.seen=0
 */
#include "case.h"

#include <coroner/coroner.h>

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

enum { COUNT = 200, BYTES = 100, SIGNAL_STACK_BYTES = 65536 };

static char **words;
static volatile sig_atomic_t is_ready, is_in_handler, is_over;

NOINLINE static void stand(volatile sig_atomic_t *flag)
{
    wipe_registers();
    *flag = 1;
    while (!is_over)
        __asm__ volatile("" : : : "memory");
}

/* Takes blocks, and frees them unless they are to be lost, after `until` says that all is over. */
NOINLINE static void hold(volatile sig_atomic_t *flag)
{
    char *volatile held[COUNT];
    for (int i = 0; i < COUNT; i++) {
        held[i] = malloc(BYTES);
        fill(held[i], BYTES);
    }
    if (flag != NULL) {
        stand(flag);
        for (int i = 0; i < COUNT; i++)
            free(held[i]);
    }
}

/* The same far below the caller, so that nothing writes there for a while. */
NOINLINE static void hold_deeply(int depth)
{
    char area[512];
    fill(area, sizeof area);
    if (depth > 0)
        hold_deeply(depth - 1);
    else
        hold(NULL);
    __asm__ volatile("" : : "r"(area) : "memory");
}

static void work(volatile sig_atomic_t *flag)
{
    if (said(words, "over")) {
        hold_deeply(8);
        wipe_registers(); /* clang pushes one that it does not need, to align the stack */
        stand(flag);
    } else {
        hold(flag);
    }
}

static void handle(int signal)
{
    (void)signal;
    if (said(words, "handler"))
        work(&is_in_handler);
    else
        stand(&is_in_handler);
}

static void *run(void *memory)
{
    const int autodisarm = (int)(1u << 31); /* SS_AUTODISARM */
    stack_t stack = {.ss_sp = memory, .ss_size = SIGNAL_STACK_BYTES};
    if (said(words, "disarmed"))
        stack.ss_flags = autodisarm;
    REQUIRE(sigaltstack(&stack, NULL) == 0);
    if (said(words, "interrupted"))
        work(&is_ready);
    else
        stand(&is_ready);
    return NULL;
}

int main(int count, char **arguments)
{
    static char variable[SIGNAL_STACK_BYTES];
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    struct coroner_summary summary = {0};
    pthread_t thread;
    (void)count;
    words = arguments;
    void *memory = variable;
    if (said(words, "block"))
        memory = malloc(SIGNAL_STACK_BYTES);
    else if (!said(words, "variable"))
        memory = mmap(NULL, SIGNAL_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                      -1, 0);
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    REQUIRE(pthread_create(&thread, NULL, run, memory) == 0);
    while (!is_ready)
        sched_yield();
    REQUIRE(pthread_kill(thread, SIGUSR1) == 0);
    while (!is_in_handler)
        sched_yield();
    coroner_check(CORONER_SILENT, &summary);
    printf("%zu leaked\n", summary.leaked_blocks);
    fflush(stdout);
    is_over = 1;
    pthread_join(thread, NULL);
    wipe();
    _Exit(0);
}
