/*
 * The kernel holds an alternate signal stack, often alone; once disabled it is lost.  Ending on
 * one of 8 KiB, or on a coroutine's stack of that size, works as without us.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE set
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE set disable
 * EXPECT: lost       blocks=1 bytes=16384 allocated_in=make_stack
 * EXPECT: exit       status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE terminated
 * EXPECT: none
 * EXPECT: exit       status=143
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE coroutine
 * EXPECT: none
 * EXPECT: exit       status=7
 */
#include "case.h"

#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { SMALL_BYTES = 8192 };

NOINLINE static void make_stack(void)
{
    stack_t stack = {.ss_sp = malloc(16384), .ss_size = 16384};
    sigaltstack(&stack, NULL);
}

/* Behind a guard page. */
static char *small_stack(void)
{
    char *start = mmap(NULL, SMALL_BYTES + 4096, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(start, 4096, PROT_NONE);
    return start + 4096;
}

static void leave(void)
{
    _exit(7);
}

int main(int count, char **arguments)
{
    (void)count;
    if (said(arguments, "set"))
        make_stack();
    if (said(arguments, "disable"))
        sigaltstack(&(stack_t){.ss_flags = SS_DISABLE}, NULL);
    if (said(arguments, "terminated")) {
        sigaltstack(&(stack_t){.ss_sp = small_stack(), .ss_size = SMALL_BYTES}, NULL);
        raise(SIGTERM);
    }
    if (said(arguments, "coroutine")) {
        static ucontext_t here, there;
        getcontext(&there);
        there.uc_stack.ss_sp = small_stack();
        there.uc_stack.ss_size = SMALL_BYTES;
        makecontext(&there, leave, 0);
        swapcontext(&here, &there);
    }
    wipe();
    return 0;
}
