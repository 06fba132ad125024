/*
 * A signal handler allocates, on the thread's stack and on an alternate one.  An alternate stack
 * is no coroutine.  What the handler keeps in a global is live; what it lets go of is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE let-go
 * EXPECT: lost       blocks=2 bytes=340 allocated_in=handle
 * EXPECT: summary    coroutines.seen=0
 * EXPECT: exit       status=23
 */
#include "case.h"

GLOBAL char *kept[2];
GLOBAL int count;

static void handle(int number)
{
    (void)number;
    char *block = malloc(170);
    fill(block, 170);
    kept[count++] = block;
    for (size_t bytes = 1; bytes < 100000; bytes *= 2) {
        char *volatile scratch = malloc(bytes);
        free(scratch);
    }
}

NOINLINE static void raise_on(int flags)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = flags};
    REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
    raise(SIGUSR1);
}

int main(int argc, char **argv)
{
    (void)argc;
    stack_t alternate = {.ss_sp = mapped_stack(STACK_BYTES), .ss_size = STACK_BYTES};
    raise_on(0);
    REQUIRE(sigaltstack(&alternate, NULL) == 0);
    raise_on(SA_ONSTACK);
    if (said(argv, "let-go")) {
        kept[0] = kept[1] = NULL;
        alternate.ss_flags = SS_DISABLE;
        REQUIRE(sigaltstack(&alternate, NULL) == 0);
        REQUIRE(munmap(alternate.ss_sp, STACK_BYTES) == 0);
    }
    wipe();
    return 0;
}
