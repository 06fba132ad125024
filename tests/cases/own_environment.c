/*
 * Shells bring a setenv and unsetenv of their own, which do nothing yet when the shim starts
 * (bash's).  What such a program starts goes unwatched all the same where that was asked for.
 *
 * BUILD:  once
 * FLAGS:  -rdynamic
 * RUN:    coroner run --format=json --output=report.json --follow-children=no $CASE
 * EXPECT: processes  1
 * EXPECT: none
 * EXPECT: stdout     child ended with 5
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=61 allocated_in=lose
 * EXPECT: stdout     child ended with 5
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/wait.h>

int setenv(const char *name, const char *value, int overwrite)
{
    (void)name;
    (void)value;
    (void)overwrite;
    return 0;
}

int unsetenv(const char *name)
{
    (void)name;
    return 0;
}

NOINLINE static void lose(void)
{
    fill(malloc(61), 61);
}

int main(int argc, char **argv)
{
    (void)argc;
    int status;
    if (said(argv, "child")) {
        lose();
        wipe();
        return 5;
    }
    pid_t child = fork();
    if (child == 0) {
        execl("/proc/self/exe", argv[0], "child", (char *)NULL);
        _exit(99);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    printf("child ended with %d\n", WEXITSTATUS(status));
    wipe();
    return 0;
}
