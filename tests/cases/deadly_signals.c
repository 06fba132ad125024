/*
 * Every signal that ends a process by default, without a core dump, gets one mark, and then the
 * process dies of it as it would have: the timers' and the real-time ones, too.  Those that dump
 * core get none.
 *
 * BUILD: once
 * RUN:    for n in 1 2 10 12 13 14 15 16 26 27 29 30 34 41 50 62 63; do \
 *         coroner run --format=json --output=report.json.$n $CASE $n lose; echo $n $?; done
 * EXPECT: lost       blocks=17 bytes=6205 allocated_in=make_parcel
 * EXPECT: processes  17
 * EXPECT: stdout     /^(\d+ 23\n){17}$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    for n in 1 2 10 12 13 14 15 16 26 27 29 30 34 41 50 62 63; do \
 *         coroner run --format=json --output=report.json.$n $CASE $n; echo $(($? - n)); done
 * EXPECT: none
 * EXPECT: processes  17
 * EXPECT: process    exit.code=null
 * EXPECT: stdout     /^(128\n){17}$/
 *
 * RUN:    export LD_PRELOAD=$SHIM; for n in 1 2 10 12 13 14 15 16 26 27 29 30 34 41 50 62 63; do \
 *         (CORONER_OPTIONS=format=json:output=report.json.$n exec $CASE $n lose); echo $n $?; \
 *         (exec $CASE $n 2>/dev/null); echo $n $(($? - n)); done 2>/dev/null
 * EXPECT: lost       blocks=17 bytes=6205 allocated_in=make_parcel
 * EXPECT: stdout     /^(\d+ 23\n\d+ 128\n){17}$/
 *
 * RUN:    ulimit -c 0; for n in 3 4 5 6 7 8 11 24 25 31; do \
 *         coroner run --format=json --output=report.json.$n $CASE $n lose; echo $(($? - n)); done
 * EXPECT: process    summary=null exit.code=null
 * EXPECT: none
 * EXPECT: processes  10
 * EXPECT: stdout     /^(128\n){10}$/
 *
 * RUN:    trap '' USR1 PIPE RTMIN+7; for n in 10 13 41; do \
 *         coroner run --format=json --output=report.json.$n $CASE $n; echo $?; done
 * EXPECT: none
 * EXPECT: stdout     /^(survived\n6\n){3}$/
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 0 lose shows
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_parcel
 * EXPECT: stdout     /^survived\n$/
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 12 lose waits
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_parcel
 * EXPECT: stdout     /^survived\n$/
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 12 lose children
 * EXPECT: lost       in=parent blocks=1 bytes=365 allocated_in=make_parcel
 * EXPECT: stdout     /^survived\n$/
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <spawn.h>
#include <sys/signalfd.h>
#include <sys/wait.h>

GLOBAL char *kept;

NOINLINE static char *make_parcel(void)
{
    char *parcel = malloc(365);
    fill(parcel, 365);
    return parcel;
}

/* Nothing of ours shows: not where nothing was set, and not after a handler came and went. */
static void require_defaults(void)
{
    for (int number = 1; number < SIGRTMAX; number++) {
        struct sigaction action, before;
        if (number == 32 || number == 33)
            continue;
        REQUIRE(sigaction(number, NULL, &action) == 0);
        REQUIRE(action.sa_handler == SIG_DFL && action.sa_flags == 0);
        if (number == SIGKILL || number == SIGSTOP)
            continue;
        REQUIRE(signal(number, SIG_IGN) == SIG_DFL && raise(number) == 0);
        REQUIRE(signal(number, SIG_DFL) == SIG_IGN);
        REQUIRE(sigaction(number, &action, &before) == 0 && before.sa_handler == SIG_DFL);
    }
}

/* A blocked signal ends nobody, and whoever waits for it gets it. */
static void take_blocked(int number)
{
    sigset_t set;
    struct signalfd_siginfo told;
    siginfo_t info;
    sigemptyset(&set);
    sigaddset(&set, number);
    sigaddset(&set, SIGRTMIN + 3);
    REQUIRE(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
    int fd = signalfd(-1, &set, SFD_CLOEXEC);
    raise(number);
    REQUIRE(sigwaitinfo(&set, &info) == number && info.si_pid == getpid());
    kill(getpid(), SIGRTMIN + 3);
    REQUIRE(read(fd, &told, sizeof told) == sizeof told);
    REQUIRE(told.ssi_signo == (unsigned)SIGRTMIN + 3);
    raise(number); /* stays pending up to the end */
}

/* However it was made, a child dies of the signal as it would have. */
static void end_children(int number)
{
    static char *const command[] = {(char *)"sleep", (char *)"100", NULL};
    int status;
    pid_t forked = fork();
    if (forked == 0) {
        raise(number);
        _exit(1);
    }
    REQUIRE(waitpid(forked, &status, 0) == forked);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == number);
    pid_t spawned;
    REQUIRE(posix_spawnp(&spawned, command[0], NULL, NULL, command, environ) == 0);
    kill(spawned, number);
    REQUIRE(waitpid(spawned, &status, 0) == spawned);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == number);
    pid_t vforked = vfork();
    if (vforked == 0) {
        raise(number);
        _exit(1);
    }
    REQUIRE(waitpid(vforked, &status, 0) == vforked);
    REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == number);
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    int number = atoi(argv[1]);
    kept = make_parcel();
    if (said(argv, "lose"))
        kept = NULL;
    wipe();
    if (said(argv, "shows"))
        require_defaults();
    else if (said(argv, "waits"))
        take_blocked(number);
    else if (said(argv, "children"))
        end_children(number);
    else
        raise(number);
    puts("survived");
    return 6;
}
