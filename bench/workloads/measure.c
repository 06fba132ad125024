/*
 * Runs a program and says what it cost.
 *
 * usage: measure FILE [NAME=VALUE...] PROGRAM [ARGS...]
 *
 * FILE gets one line: user and system seconds, the most KiB that were resident, elapsed seconds,
 * and the wait status.  The settings are made for the program only.  Time and memory are those of
 * its process and of the descendants it waited for.
 *
 * It exists because a child starts with its parent's peak of resident memory: what starts a small
 * program and wants to know its size must itself be small.
 */
#include "../bench.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
    struct rusage used;
    int status, at = 2;
    while (at < argc && strchr(argv[at], '=') != NULL)
        at++;
    REQUIRE(at < argc);
    FILE *file = fopen(argv[1], "we");
    REQUIRE(file != NULL);
    double began = now_ns();
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        for (int i = 2; i < at; i++)
            putenv(argv[i]);
        execvp(argv[at], argv + at);
        _exit(127);
    }
    REQUIRE(wait4(child, &status, 0, &used) == child);
    fprintf(file, "%.6f %.6f %ld %.6f %d\n", seconds(used.ru_utime), seconds(used.ru_stime),
            used.ru_maxrss, (now_ns() - began) / 1e9, status);
    return 0;
}
