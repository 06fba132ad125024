/*
 * Handlers that allocate, on the interrupted stack and on one of their own, nested too.  A timer
 * interrupts code at any instruction: prologues, epilogues, leaf functions, the PLT.  And code of
 * small frames is interrupted at one place and another depth each time: the kernel aligns what it
 * pushes, so that the handler's frames lie where they lay.
 *
 * STACKS:    3000
 * EXPLAINED: left_the_stack
 * BUILD:     gcc -O0 -O2
 * BUILD:     gcc -O2 -fno-omit-frame-pointer -Wl,-z,lazy -fno-plt
 * BUILD:     gcc -O2 -Wl,-z,lazy
 * BUILD:     clang -O0 -O2
 */
#include "unwind.h"

#include <signal.h>
#include <string.h>
#include <sys/time.h>

static volatile sig_atomic_t is_calm, ticks;
static volatile unsigned sink;

NOINLINE static void in_handler(unsigned depth)
{
    if (depth > 0)
        in_handler(depth - 1);
    else
        ALLOCATE();
    NO_TAIL_CALL();
}

static void plain(int number)
{
    in_handler((unsigned)number % 5);
}

static void nested(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    in_handler(1);
    raise(SIGUSR1);
    in_handler(2);
}

static void tick(int number)
{
    (void)number;
    ticks++;
    if (is_calm) /* malloc is not what was interrupted */
        in_handler(ticks % 3);
}

NOINLINE static unsigned leaf(unsigned value)
{
    return value * 7 + (value >> 3);
}

NOINLINE static unsigned busy(unsigned depth, const char *text)
{
    volatile char room[100];
    room[depth] = text[depth % 8];
    unsigned result = leaf(depth) + (unsigned)strlen(text) + (unsigned)atoi(text);
    if (depth > 0)
        result += busy(depth - 1, text) ^ leaf(result);
    return result + (unsigned)room[depth];
}

NOINLINE static void raise_at(unsigned depth, int number)
{
    volatile char room[48];
    room[0] = 1;
    if (depth > 0)
        raise_at(depth - 1, number);
    else
        raise(number);
    USE(room);
}

NOINLINE static void small_steps_to_a_trap(unsigned depth)
{
    if (depth > 0)
        small_steps_to_a_trap(depth - 1);
    else
        __asm__ volatile("int3");
    NO_TAIL_CALL();
}

static void trapped(int number)
{
    (void)number;
    ALLOCATE();
}

int main(void)
{
    static char own_stack[1 << 16];
    stack_t stack = {.ss_sp = own_stack, .ss_size = sizeof own_stack};
    struct sigaction on_own = {.sa_sigaction = nested, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    REQUIRE(sigaltstack(&stack, NULL) == 0);
    signal(SIGUSR1, plain);
    signal(SIGUSR2, (void (*)(int))(void *)nested);
    sigaction(SIGWINCH, &on_own, NULL);
    for (unsigned i = 0; i < 200; i++) {
        raise_at(i % 30, SIGUSR1);
        raise_at(i % 30, SIGWINCH);
        in_handler(i % 30);
    }
    signal(SIGTRAP, trapped);
    for (unsigned i = 0; i < 400; i++)
        small_steps_to_a_trap(i % 2 == 0 ? i / 10 : random_below(40));
    signal(SIGALRM, tick);
    struct itimerval often = {{0, 500}, {0, 500}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    is_calm = 1;
    for (unsigned round = 0; ticks < 3000 && round < 100000000; round++)
        sink += busy(round % 20, "12345678");
    is_calm = 0;
    setitimer(ITIMER_REAL, &never, NULL);
    return 0;
}
