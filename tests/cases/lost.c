/*
 * The plainest leak: the only pointer to a block goes out of scope.  The twin keeps it in a global.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=123 indirect_blocks=0 allocated_in=make_name confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

GLOBAL char *kept;

NOINLINE static char *make_name(void)
{
    char *name = malloc(123);
    fill(name, 123);
    return name;
}

int main(int argc, char **argv)
{
    (void)argc;
    char *name = make_name();
    if (said(argv, "twin"))
        kept = name;
    name = NULL;
    wipe();
    return 0;
}
