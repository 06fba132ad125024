/*
 * A request in flight whose submission entry another one has used since is known to the kernel
 * alone, which does not tell.  So what only it could hold is at most likely to be lost.  The
 * twin's ring has as many entries as there are requests; then all are seen, and hold.  A ring
 * whose requests all have their completions holds nothing that cannot be seen.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE many
 * NEEDS:  $CASE many # io_uring is not allowed here
 * EXPECT: lost       blocks=6 allocated_in=make_operation confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --strict $CASE many
 * NEEDS:  $CASE many # io_uring is not allowed here
 * EXPECT: lost       blocks=6 allocated_in=make_operation confidence=likely
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE few
 * NEEDS:  $CASE few # io_uring is not allowed here
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ready
 * NEEDS:  $CASE ready # io_uring is not allowed here
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE taken
 * NEEDS:  $CASE taken # io_uring is not allowed here
 * EXPECT: lost       blocks=6 allocated_in=make_operation confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"
#include "uring.h"

GLOBAL struct uring ring;

NOINLINE static char *make_operation(void)
{
    char *operation = malloc(300);
    fill(operation, 300);
    return operation;
}

NOINLINE static void submit(int fd, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        uring_poll(&ring, fd, make_operation());
}

/* Completes as many requests as are ready, takes what comes, and forgets it. */
NOINLINE static void forget(unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        uring_take(&ring);
}

int main(int argc, char **argv)
{
    int ends[2];
    (void)argc;
    REQUIRE(pipe(ends) == 0);
    uring_open(&ring, 0);
    if (said(argv, "few")) {
        submit(ends[0], URING_ENTRIES);
    } else if (said(argv, "many")) {
        submit(ends[0], URING_ENTRIES + 6);
    } else {
        REQUIRE(write(ends[1], "x", 1) == 1);
        submit(ends[0], URING_ENTRIES);
        if (said(argv, "taken")) {
            /* The last four stay in their entries: what was theirs is not told from what is. */
            submit(ends[0], 2);
            forget(6);
            submit(ends[0], 4);
            forget(4);
        }
    }
    wipe();
    return 0;
}
