/*
 * The first process of a pid namespace keeps its rules: a signal that it has no handler for does
 * nothing to it.  Its children live by everybody's rules, and one that becomes the first process
 * of another namespace lives by those of the first.
 *
 * BUILD: once
 * RUN:    unshare --pid --fork --mount-proc env LD_PRELOAD=$SHIM \
 *         CORONER_OPTIONS=format=json:output=report.json $CASE
 * NEEDS:  unshare --pid --fork true # a pid namespace cannot be made here
 * EXPECT: lost       blocks=1 bytes=415 allocated_in=make_crate
 * EXPECT: process    pid=1 exit.code=3
 * EXPECT: stdout     still here
 * EXPECT: exit       status=23
 *
 * RUN:    unshare --pid --fork --mount-proc env LD_PRELOAD=$SHIM \
 *         CORONER_OPTIONS=format=json:output=report.json.%p $CASE child
 * NEEDS:  unshare --pid --fork true # a pid namespace cannot be made here
 * EXPECT: lost       in=child blocks=1 bytes=415 allocated_in=make_crate
 * EXPECT: process    pid=1 exit.code=3
 * EXPECT: process    in=child exit.signal=15
 * EXPECT: exit       status=3
 *
 * RUN:    coroner run --format=json --output=report.json $CASE namespace
 * NEEDS:  unshare --pid --fork true # a pid namespace cannot be made here
 * EXPECT: lost       in=parent blocks=1 bytes=415 allocated_in=make_crate
 * EXPECT: stdout     still here
 * EXPECT: exit       status=23
 * LIVE:   never # after unshare(CLONE_NEWPID) no thread can begin
 */
#include "case.h"

#include <sched.h>
#include <sys/wait.h>

GLOBAL char *kept;

NOINLINE static char *make_crate(void)
{
    char *crate = malloc(415);
    fill(crate, 415);
    return crate;
}

static void ignore_all(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGPIPE, SIGALRM};
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sigaction action;
        REQUIRE(raise(numbers[i]) == 0 && kill(getpid(), numbers[i]) == 0);
        REQUIRE(sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler == SIG_DFL);
        REQUIRE(signal(numbers[i], SIG_DFL) == SIG_DFL && raise(numbers[i]) == 0);
    }
    puts("still here");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    int status;
    (void)argc;
    if (said(argv, "namespace"))
        REQUIRE(unshare(CLONE_NEWPID) == 0);
    pid_t child = said(argv, "child") || said(argv, "namespace") ? fork() : -1;
    if (child == 0) {
        kept = make_crate();
        if (said(argv, "child"))
            kept = NULL;
        wipe();
        if (getpid() == 1)
            ignore_all();
        else
            raise(SIGTERM);
        return 3;
    }
    if (child > 0) {
        REQUIRE(waitpid(child, &status, 0) == child);
        REQUIRE(said(argv, "child") ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 3);
    }
    if (!said(argv, "child"))
        kept = make_crate();
    kept = NULL;
    wipe();
    if (child < 0)
        ignore_all();
    return 3;
}
