/*
 * What is born during teardown gets a mark of its own: lost by an atexit handler, or by a
 * destructor function, it is reported; kept in a global, it is live.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE atexit
 * EXPECT: lost       blocks=1 bytes=432 allocated_in=make_farewell
 * EXPECT: exit       status=23
 * LIVE:   none # it is born later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE destructor
 * EXPECT: lost       blocks=1 bytes=432 allocated_in=make_farewell
 * EXPECT: exit       status=23
 * LIVE:   none # it is born later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE atexit kept
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

GLOBAL char *keeper;
GLOBAL bool in_destructor, keeps;

NOINLINE static char *make_farewell(void)
{
    char *farewell = malloc(432);
    fill(farewell, 432);
    return farewell;
}

NOINLINE static void say_farewell(void)
{
    char *farewell = make_farewell();
    if (keeps)
        keeper = farewell;
}

static void at_exit(void)
{
    say_farewell();
    wipe();
}

__attribute__((destructor)) static void destroy(void)
{
    if (in_destructor)
        say_farewell();
    wipe();
}

int main(int argc, char **argv)
{
    (void)argc;
    keeps = said(argv, "kept");
    in_destructor = said(argv, "destructor");
    if (said(argv, "atexit"))
        atexit(at_exit);
    wipe();
    return 0;
}
