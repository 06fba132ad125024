/*
 * A program that forks while its threads allocate.  Children end in every way: _exit, exit, a
 * signal, another program.  Each second one loses a block of its own; what it inherited, and what
 * its parent lost, it does not report.
 */
#include "motion.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS = 2, CHILD_BYTES = 99 };

static void *work(void *argument)
{
    unsigned long random = (uintptr_t)argument;
    char *blocks[50] = {NULL};
    while (motion_is_on()) {
        char **slot = &blocks[motion_random(&random, 50)];
        *slot = realloc(*slot, 1 + motion_random(&random, 2000));
        (*slot)[0] = 'w';
    }
    for (unsigned i = 0; i < 50; i++)
        free(blocks[i]);
    return NULL;
}

MOTION_NOINLINE static void lose_own(void)
{
    char *block = malloc(CHILD_BYTES);
    memset(block, 'f', CHILD_BYTES);
    __asm__ volatile("" : : "r"(block) : "memory");
}

static void child(unsigned number)
{
    if (number % 2 == 0)
        lose_own();
    motion_wipe();
    switch (number % 4) {
    case 0:
        _exit(3);
    case 1:
        exit(3);
    case 2:
        raise(SIGTERM);
        break;
    default:
        execl("/bin/sh", "sh", "-c", "exit 3", NULL);
    }
    _exit(99);
}

static void family(unsigned number)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    MOTION_REQUIRE(pid >= 0);
    if (pid == 0)
        child(number);
    MOTION_REQUIRE(waitpid(pid, &status, 0) == pid);
    MOTION_REQUIRE(number % 4 == 2 ? WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM
                                   : WIFEXITED(status) && WEXITSTATUS(status) == 3);
}

int main(int argc, char **argv)
{
    pthread_t workers[WORKERS];
    unsigned number = 0;
    motion_begin(argc, argv);
    for (uintptr_t i = 0; i < WORKERS; i++)
        MOTION_REQUIRE(pthread_create(&workers[i], NULL, work, (void *)(i + 1)) == 0);
    while (motion_goes_on()) {
        family(number++);
        usleep(40000);
    }
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(workers[i], NULL);
    motion_wipe();
    return motion_end("all children ended as they should");
}
