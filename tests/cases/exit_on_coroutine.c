/*
 * exit() may be called on a coroutine.  The check then runs on the coroutine's stack; what main's
 * frame holds is still live, and so is what the running coroutine holds.
 *
 * With the block let go in main before the switch, it is lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * ROW:    U8
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.running=1
 * EXPECT: exit       status=3
 *
 * RUN:    coroner run --format=json --output=report.json $CASE let-go
 * ROW:    U8 twin
 * EXPECT: lost       blocks=1 bytes=800 allocated_in=make_config
 * EXPECT: exit       status=23
 */
#include "case.h"

GLOBAL ucontext_t scheduler;

NOINLINE static char *make_config(void)
{
    char *config = malloc(800);
    fill(config, 800);
    return config;
}

static void finish_program(void *argument)
{
    char *volatile goodbye = malloc(200);
    (void)argument;
    goodbye[0] = 'x';
    exit(3);
}

int main(int argc, char **argv)
{
    (void)argc;
    static ucontext_t context;
    char *volatile config = make_config();
    if (said(argv, "let-go"))
        config = NULL;
    coroutine_make(&context, mapped_stack(STACK_BYTES), STACK_BYTES, &scheduler, finish_program,
                   NULL);
    wipe();
    swapcontext(&scheduler, &context);
    return config != NULL; /* never */
}
