/*
 * A program that does nothing: its start and its end, and the exec and wait around them.  The
 * program starts itself, so that only what every process pays is in the figure.
 */
#include "bench.h"

#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void run_children(size_t count)
{
    char *arguments[] = {"empty", "child", NULL};
    for (size_t i = 0; i < count; i++) {
        pid_t pid;
        int status;
        REQUIRE(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, arguments, environ) == 0);
        REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc == 1)
        measure("empty", run_children, 5, 20);
    return 0;
}
