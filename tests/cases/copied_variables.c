/*
 * A program that is not position-independent has copies of its own of the loader's and libc's
 * variables that it names.  They are filled after Coroner is loaded, whose code sees them empty until
 * then: node names the end of the stack, others the environment.
 *
 * BUILD: once
 * FLAGS: -no-pie -fno-pic
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE
 * EXPECT: none
 * EXPECT: stdout     /^1 1\n$/
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE lost
 * EXPECT: lost       blocks=1 bytes=100 allocated_in=lose
 * EXPECT: exit       status=23
 */
#include "case.h"

extern void *__libc_stack_end;
extern char **environ;

NOINLINE static void lose(void)
{
    void *volatile block = malloc(100);
    fill(block, 100);
}

int main(int argc, char **argv)
{
    printf("%d %d\n", (char **)__libc_stack_end < argv, environ != NULL);
    if (argc > 1 && said(argv, "lost"))
        lose();
    wipe();
    return 0;
}
