/*
 * One instruction at a time: a handler allocates after each, in prologues and epilogues, in leaf
 * functions, in the PLT while the loader binds a function and afterwards, in the vDSO, in libc's
 * functions by hand.
 *
 * STACKS:    20000
 * EVERY:     3
 * EXPLAINED: ends_by_register
 * FLAGS:     -lm
 * BUILD:     gcc -O0 -O2
 * BUILD:     gcc -O2 -fno-omit-frame-pointer
 * BUILD:     gcc -O2 -Wl,-z,lazy
 * BUILD:     gcc -O2 -Wl,-z,now
 * BUILD:     clang -O0 -O2
 */
#include "unwind.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

enum { TRAP_FLAG = 0x100 };

static volatile unsigned steps, sink;
static volatile int is_over;

static void step(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    ALLOCATE();
    steps++;
    if (is_over)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
}

NOINLINE static unsigned leaf(unsigned value)
{
    return value * 7 + (value >> 3);
}

NOINLINE static unsigned with_array(unsigned count)
{
    volatile char memory[count * 24 + 1];
    memory[count] = 1;
    return leaf(count) + (unsigned)memory[count];
}

NOINLINE static unsigned aligned(unsigned count)
{
    _Alignas(64) volatile char memory[64];
    memory[count % 64] = 1;
    return with_array(count) + (unsigned)memory[count % 64];
}

static int compare(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

NOINLINE static void work(unsigned depth, const char *text)
{
    struct timespec now;
    char copy[200];
    int numbers[] = {5, 3, 9, 1};
    qsort(numbers, 4, sizeof numbers[0], compare);
    memset(copy, (int)depth, sizeof copy);
    memmove(copy + 3, copy, 150);
    strncpy(copy, text, sizeof copy - 1);
    clock_gettime(CLOCK_MONOTONIC, &now);
    sink += leaf(depth) + aligned(depth) + (unsigned)strlen(copy) + (unsigned)atoi(text);
    sink += (unsigned)lround(pow(1.5 + depth, sin((double)depth)));
    sink += (strstr(copy, "567") != NULL) + (unsigned)numbers[0] + (unsigned)(now.tv_nsec & 1);
    if (depth > 0)
        work(depth - 1, text);
    NO_TAIL_CALL();
}

NOINLINE static void stepwise(void)
{
    __asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq" ::: "memory", "cc");
    work(3, "12345678");
    is_over = 1;
    NO_TAIL_CALL();
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = step, .sa_flags = SA_SIGINFO};
    sigaction(SIGTRAP, &action, NULL);
    while (steps < 20000) {
        is_over = 0;
        stepwise();
    }
    return 0;
}
