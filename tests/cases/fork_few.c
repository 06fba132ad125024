/*
 * A forked child is judged for what it allocated itself, whether that is a block or thousands, or a
 * block of its parent's that it resized; what it freed again, and its parent's heap, count for
 * nothing.  A thread that it makes allocates for it, too.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE nothing
 * EXPECT: none
 * EXPECT: processes  2
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE freed
 * EXPECT: none
 * EXPECT: processes  2
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE held
 * EXPECT: none
 * EXPECT: processes  2
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE one
 * EXPECT: lost       in=child blocks=1 bytes=555 allocated_in=lose
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE thousands
 * EXPECT: lost       in=child blocks=1 bytes=555 allocated_in=lose
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE resized
 * EXPECT: lost       in=child blocks=1 bytes=700 allocated_in=resize
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE thread
 * EXPECT: lost       in=child blocks=1 bytes=555 allocated_in=lose
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE grandchild
 * EXPECT: lost       in=child blocks=1 bytes=555 allocated_in=lose
 * EXPECT: processes  3
 */
#include "case.h"

#include <pthread.h>
#include <sys/wait.h>

enum { PARENTS = 20000, THOUSANDS = 3000 };

GLOBAL char *parents[PARENTS];
GLOBAL char *kept;

NOINLINE static void lose(void)
{
    char *block = malloc(555);
    fill(block, 555);
}

NOINLINE static void come_and_go(int count)
{
    for (int i = 0; i < count; i++) {
        char *block = malloc(100);
        fill(block, 100);
        free(block);
    }
}

NOINLINE static void resize(void)
{
    char *block = realloc(parents[0], 700); /* its class: it stays */
    fill(block, 700);
    parents[0] = NULL;
}

static void *in_thread(void *unused)
{
    come_and_go(10);
    lose();
    wipe();
    return unused;
}

static void thread_run(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, in_thread, NULL) == 0);
    REQUIRE(pthread_join(thread, NULL) == 0);
}

NOINLINE static void child_work(char **arguments)
{
    if (said(arguments, "freed"))
        come_and_go(50);
    if (said(arguments, "held"))
        kept = malloc(50);
    if (said(arguments, "thousands"))
        come_and_go(THOUSANDS);
    if (said(arguments, "one") || said(arguments, "thousands"))
        lose();
    if (said(arguments, "resized"))
        resize();
    if (said(arguments, "thread"))
        thread_run();
}

NOINLINE static void grandchild_make(void)
{
    kept = malloc(50);
    pid_t child = fork();
    if (child == 0) {
        lose();
        wipe();
        _exit(0);
    }
    REQUIRE(waitpid(child, NULL, 0) == child);
}

int main(int count, char **arguments)
{
    (void)count;
    for (int i = 0; i < PARENTS; i++)
        parents[i] = malloc(i == 0 ? 760 : 40);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        child_work(arguments);
        if (said(arguments, "grandchild"))
            grandchild_make();
        wipe();
        _exit(0);
    }
    REQUIRE(waitpid(child, NULL, 0) == child);
    wipe();
    return 0;
}
