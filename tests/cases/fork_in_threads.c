/*
 * A program with threads forks.  The child has one thread and reports what it allocated itself;
 * what the parent had lost before is the parent's to report, once.  Each child's exit status is
 * its own.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: processes  2
 * EXPECT: lost       in=parent blocks=1 bytes=111 allocated_in=lose_in_parent
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: process    in=child exit.code=7
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE clean-parent
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: process    in=parent exit.code=0
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json --follow-children=no $CASE
 * EXPECT: processes  1
 * EXPECT: lost       blocks=1 bytes=111 allocated_in=lose_in_parent
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <pthread.h>
#include <sys/wait.h>

GLOBAL volatile bool over;

NOINLINE static void lose_in_parent(void)
{
    fill(malloc(111), 111);
}

NOINLINE static void lose_in_child(void)
{
    fill(malloc(222), 222);
}

static void *churn(void *unused)
{
    while (!over) {
        char *volatile block = malloc(64);
        free(block);
    }
    return unused;
}

int main(int argc, char **argv)
{
    (void)argc;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    int status;
    if (!said(argv, "clean-parent"))
        lose_in_parent();
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, churn, NULL) == 0);
    pid_t child = fork();
    if (child == 0) {
        lose_in_child();
        wipe();
        exit(7);
    }
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 7);
    REQUIRE(waitpid(-1, &status, 0) == -1); /* no child that the program did not make */
    over = true;
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    wipe();
    return 0;
}
