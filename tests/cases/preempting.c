/*
 * A preemptive scheduler: a timer's handler switches from one coroutine to the next, wherever that
 * one is, in makecontext, mmap, munmap or between two instructions.  Only malloc and free are kept
 * from it, as with any allocator.  Nothing waits for a lock that a coroutine behind it holds, no
 * coroutine is called dead, and what is lost is found.  (The lock is held for so short a time that a
 * run without shim/calm.h seldom meets it: six of six passed.)
 *
 * RUN:    timeout 20 coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=123 allocated_in=lose confidence=proven
 * EXPECT: stdout     /^switched\n$/
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/time.h>

enum { COROUTINES = 4, SWITCHES = 1500 };

static ucontext_t contexts[COROUTINES];
static char *volatile held[COROUTINES];
static volatile sig_atomic_t current, is_guarded;
static volatile long switches;
static sigset_t alarm_only;

static void tick(int number)
{
    (void)number;
    if (is_guarded)
        return;
    int from = current, to = (from + 1) % COROUTINES;
    current = to;
    switches++;
    swapcontext(&contexts[from], &contexts[to]);
}

static void never(void)
{
}

/* A stack from malloc, with a coroutine that never runs: freeing it is noticed by the registry. */
static void make_on_heap(void)
{
    ucontext_t passing;
    is_guarded = 1;
    void *stack = malloc(STACK_BYTES);
    is_guarded = 0;
    getcontext(&passing);
    passing.uc_stack.ss_sp = stack;
    passing.uc_stack.ss_size = STACK_BYTES;
    passing.uc_link = NULL;
    makecontext(&passing, never, 0);
    is_guarded = 1;
    free(stack);
    is_guarded = 0;
}

static void make_on_mapping(void)
{
    ucontext_t passing;
    void *stack = mapped_stack(STACK_BYTES);
    getcontext(&passing);
    passing.uc_stack.ss_sp = stack;
    passing.uc_stack.ss_size = STACK_BYTES;
    passing.uc_link = NULL;
    makecontext(&passing, never, 0);
    munmap(stack, STACK_BYTES);
}

static void work(void)
{
    int own = current;
    sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
    while (switches < SWITCHES) {
        make_on_heap();
        make_on_mapping();
        is_guarded = 1;
        held[own] = realloc(held[own], 200);
        is_guarded = 0;
    }
    if (own != 0)
        for (;;)
            ; /* until the first one ends the program */
}

NOINLINE static void lose(void)
{
    fill(malloc(123), 123);
}

int main(void)
{
    struct sigaction action;
    struct itimerval often = {{0, 200}, {0, 200}};
    lose();
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    /* Blocked in new coroutines until they stand on their own stacks. */
    sigprocmask(SIG_BLOCK, &alarm_only, NULL);
    for (int i = 1; i < COROUTINES; i++)
        coroutine_make(&contexts[i], mapped_stack(STACK_BYTES), STACK_BYTES, NULL,
                       (void (*)(void *))(uintptr_t)work, NULL);
    memset(&action, 0, sizeof action);
    action.sa_handler = tick;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    work();
    sigprocmask(SIG_BLOCK, &alarm_only, NULL);
    puts("switched");
    wipe();
    return 0;
}
