/*
 * A forked child reports what is its own: neither the coroutines that its parent destroyed, nor its
 * parent's findings and leaks, wherever the fork happens.
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0 coroutines.resurrected=0
 * EXPECT: summary    in=parent coroutines.destroyed=5
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE on_coroutine
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE in_handler
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE in_teardown
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE while_checked
 * EXPECT: processes  2
 * EXPECT: lost       in=child blocks=1 bytes=222 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --error-exitcode=0 $CASE twice
 * EXPECT: processes  3
 * EXPECT: lost       in=child blocks=2 bytes=444 allocated_in=lose_in_child
 * EXPECT: summary    in=child coroutines.destroyed=0
 * EXPECT: finding    unfinished_watch in=parent count=1
 * EXPECT: exit       status=0
 *
 * What only borrows the parent's memory until it calls exec or ends tells nothing.
 *
 * RUN:    coroner run --format=json --output=report.json --follow-children=no $CASE borrowed
 * EXPECT: processes  1
 * EXPECT: finding    unfinished_watch count=1
 * EXPECT: summary    coroutines.destroyed=5
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

GLOBAL char *watched;
GLOBAL ucontext_t scheduler, context;
static bool is_twice;
static volatile bool is_over;

NOINLINE static void lose_in_child(void)
{
    char *block = malloc(222);
    fill(block, 222);
}

NOINLINE static void fork_once(void)
{
    fflush(NULL);
    pid_t child = fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        lose_in_child();
        wipe_registers();
        if (is_twice) {
            is_twice = false;
            fork_once();
        }
        exit(0);
    }
    REQUIRE(waitpid(child, NULL, 0) == child);
}

static void quick(void *unused)
{
    (void)unused;
}

static void forking(void *unused)
{
    (void)unused;
    fork_once();
}

/* A coroutine whose stack is unmapped once it has run. */
NOINLINE static void run(void (*entry)(void *))
{
    enum { BYTES = 1 << 18 };
    char *stack = mapped_stack(BYTES);
    coroutine_make(&context, stack, BYTES, &scheduler, entry, NULL);
    swapcontext(&scheduler, &context);
    munmap(stack, BYTES);
}

static void handle(int signal)
{
    (void)signal;
    fork_once();
}

static void *check_always(void *unused)
{
    (void)unused;
    while (!is_over)
        coroner_check(CORONER_SILENT, NULL);
    return NULL;
}

NOINLINE static void fork_somewhere(char **argv)
{
    pthread_t checker;
    if (said(argv, "while_checked")) {
        REQUIRE(pthread_create(&checker, NULL, check_always, NULL) == 0);
        usleep(20000);
        fork_once();
        is_over = true;
        pthread_join(checker, NULL);
    } else if (said(argv, "on_coroutine")) {
        run(forking);
    } else if (said(argv, "in_handler")) {
        signal(SIGUSR1, handle);
        raise(SIGUSR1);
    } else if (said(argv, "in_teardown")) {
        REQUIRE(atexit(fork_once) == 0);
    } else {
        is_twice = said(argv, "twice");
        fork_once();
    }
}

NOINLINE static void borrow(void)
{
    pid_t child;
    char *const arguments[] = {(char *)"true", NULL};
    REQUIRE(posix_spawnp(&child, "true", NULL, NULL, arguments, environ) == 0);
    REQUIRE(waitpid(child, NULL, 0) == child);
    child = vfork();
    if (child == 0)
        _exit(0);
    REQUIRE(waitpid(child, NULL, 0) == child);
}

int main(int argc, char **argv)
{
    (void)argc;
    for (int i = 0; i < 5; i++)
        run(quick);
    watched = malloc(80);
    fill(watched, 80);
    coroner_watch(watched, "it should be gone");
    if (said(argv, "borrowed"))
        borrow();
    else
        fork_somewhere(argv);
    wipe();
    return 0;
}
