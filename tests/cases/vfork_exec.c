/*
 * A vfork child shares the parent's memory until it execs: it is not checked, nor is an image that
 * exec replaces.  The new image is a process entry of its own; the parent reports once.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=61 allocated_in=lose_small
 * EXPECT: lost       in=parent blocks=1 bytes=62 allocated_in=lose_big
 * EXPECT: stdout     child ended with 5
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE exec
 * EXPECT: processes  1
 * EXPECT: lost       blocks=1 bytes=61 allocated_in=lose_small
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json --follow-children=no $CASE
 * EXPECT: processes  1
 * EXPECT: lost       blocks=1 bytes=62 allocated_in=lose_big
 * EXPECT: stdout     child ended with 5
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/wait.h>

NOINLINE static void lose_small(void)
{
    fill(malloc(61), 61);
}

NOINLINE static void lose_big(void)
{
    fill(malloc(62), 62);
}

int main(int argc, char **argv)
{
    (void)argc;
    int status;
    if (said(argv, "grandchild")) {
        lose_small();
        wipe();
        return 5;
    }
    lose_big();
    if (said(argv, "exec"))
        execl("/proc/self/exe", argv[0], "grandchild", (char *)NULL);
    pid_t child = vfork();
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "grandchild", (char *)NULL);
        _exit(99);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    child = vfork();
    if (child == 0)
        _exit(0);
    REQUIRE(waitpid(child, NULL, 0) == child);
    printf("child ended with %d\n", WEXITSTATUS(status));
    wipe();
    return 0;
}
