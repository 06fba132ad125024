/*
 * A handler on the program's signal stack allocates; another one, which a timer brings, begins below
 * its frames, as it would without Coroner, whatever stack our work is on at that moment.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /^\d+ timers$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE small
 * EXPECT: none
 * EXPECT: stdout     /^\d+ timers$/
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/time.h>

enum { HANDLERS = 50, BLOCKS = 20, PAD_BYTES = 512 };

GLOBAL volatile sig_atomic_t timer_count;

/* Whether what a frame holds is still there after `work`. */
NOINLINE static void with_pad(void (*work)(void))
{
    volatile char pad[PAD_BYTES];
    for (int i = 0; i < PAD_BYTES; i++)
        pad[i] = 7;
    work();
    for (int i = 0; i < PAD_BYTES; i++)
        REQUIRE(pad[i] == 7);
}

static void allocate(void)
{
    for (size_t i = 0; i < BLOCKS; i++) {
        char *volatile block = malloc(64 + i);
        free(block);
    }
}

static void count(void)
{
    timer_count++;
}

static void on_request(int number)
{
    (void)number;
    with_pad(allocate);
}

static void on_timer(int number)
{
    (void)number;
    with_pad(count);
}

int main(int argc, char **argv)
{
    enum { LARGE_BYTES = 64 * 1024, MORE_BYTES = 4096, EVERY_US = 1000 };
    static char memory[LARGE_BYTES];
    size_t least = getauxval(AT_MINSIGSTKSZ);
    size_t bytes = said(argv, "small") ? 2 * least + MORE_BYTES : LARGE_BYTES;
    (void)argc;
    REQUIRE(bytes <= sizeof memory);
    REQUIRE(sigaltstack(&(stack_t){.ss_sp = memory, .ss_size = bytes}, NULL) == 0);
    REQUIRE(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_request, .sa_flags = SA_ONSTACK},
                      NULL) == 0);
    REQUIRE(sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_timer, .sa_flags = SA_ONSTACK},
                      NULL) == 0);
    const struct itimerval often = {{0, EVERY_US}, {0, EVERY_US}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < HANDLERS || timer_count < HANDLERS; i++)
        raise(SIGUSR1);
    setitimer(ITIMER_REAL, &never, NULL);
    printf("%d timers\n", (int)timer_count);
    wipe();
    return 0;
}
