/*
 * A block that nothing holds when the end begins, and that an atexit handler frees (it knows the
 * address in a form no checker can read), is dropped from the suspects.  A handler that does not
 * free it leaves it lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 * LIVE:   lost       blocks=1 bytes=654 allocated_in=make_cache # it is freed later
 *
 * RUN:    coroner run --format=json --output=report.json $CASE forget
 * EXPECT: lost       blocks=1 bytes=654 allocated_in=make_cache
 * EXPECT: exit       status=23
 */
#include "case.h"

GLOBAL uintptr_t hidden;
GLOBAL bool forgets;

NOINLINE static void make_cache(void)
{
    char *cache = malloc(654);
    fill(cache, 654);
    hidden = hide(cache);
}

static void free_cache(void)
{
    if (!forgets)
        free(unhide(hidden));
}

int main(int argc, char **argv)
{
    (void)argc;
    forgets = said(argv, "forget");
    atexit(free_cache);
    make_cache();
    wipe();
    return 0;
}
