/*
 * A handler with SA_ONSTACK runs on the normal stack in a program that has set no alternate one,
 * with as much room as it has there, and sigaction still shows the flag.  After sigaltstack it runs
 * on the program's own.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /large: normal stack/
 * EXPECT: stdout     /small: alternate stack/
 * EXPECT: exit       status=0
 */
#include "case.h"

static char *alternate;
static size_t alternate_bytes;

static bool is_alternate(const void *address)
{
    return alternate != NULL && (const char *)address >= alternate &&
           (const char *)address < alternate + alternate_bytes;
}

static void large(int number)
{
    char area[1 << 20];
    (void)number;
    fill(area, sizeof area);
    puts(is_alternate(area) ? "large: alternate stack" : "large: normal stack");
}

static void small(int number)
{
    char area[64];
    (void)number;
    fill(area, sizeof area);
    puts(is_alternate(area) ? "small: alternate stack" : "small: normal stack");
}

static void handler_set(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK}, shown;
    REQUIRE(sigaction(number, &action, NULL) == 0);
    REQUIRE(sigaction(number, NULL, &shown) == 0);
    REQUIRE(shown.sa_flags & SA_ONSTACK);
}

int main(void)
{
    handler_set(SIGUSR1, large);
    handler_set(SIGUSR2, small);
    raise(SIGUSR1);
    alternate_bytes = 1 << 16;
    alternate = mapped_stack(alternate_bytes);
    stack_t stack = {.ss_sp = alternate, .ss_size = alternate_bytes};
    REQUIRE(sigaltstack(&stack, NULL) == 0);
    raise(SIGUSR2);
    return 0;
}
