/*
 * Checks that somebody asked for beforehand: at a signal, by a clock, at a size, and by the program.
 * The program goes on, none of its calls ends early, and it has no child.
 *
 * BUILD: once
 * RUN:    coroner run --check-signal=USR1 --format=json --output=r.%n.json $CASE signal r.1.json; \
 *         cp r.1.json report.json
 * EXPECT: stdout       went on
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    coroner run --check-signal=USR1 --format=json --output=r.%n.json $CASE handler r.1.json; \
 *         cp r.1.json report.json
 * EXPECT: stdout       went on
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=check_signal=SIGUSR2:format=json:output=r.%n.json \
 *         $CASE signal r.1.json; cp r.1.json report.json
 * EXPECT: stdout       went on
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    coroner run --check-at=1M --format=json --output=r.%n.json $CASE size r.1.json; \
 *         cp r.1.json report.json
 * EXPECT: stdout       went on
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    coroner run --check-every=1s --keep=1 --format=json --output=r.%n.json $CASE clock r.2.json; \
 *         cp r.2.json report.json; ls r.1.json
 * EXPECT: stdout       went on
 * EXPECT: stderr       /r.1.json/
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    coroner run --format=json --output=r.%n.json $CASE request r.1.json; cp r.1.json report.json
 * EXPECT: stdout       went on
 * EXPECT: lost         blocks=1 bytes=777 allocated_in=lose
 *
 * RUN:    coroner run --check-signal=USR1 $CASE signal err.txt 2>err.txt; grep -c "this look" err.txt
 * EXPECT: stdout       /^1$/
 */
#include "case.h"
#include "coroner/coroner.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

NOINLINE static void lose(void)
{
    void *block = malloc(777);
    fill(block, 777);
}

static volatile sig_atomic_t handled;

static void handle(int signal)
{
    (void)signal;
    handled = 1;
}

/* One of the two is the signal that is asked for; the other one is ignored. */
static void signals_send(bool has_handler)
{
    struct sigaction action, read;
    memset(&action, 0, sizeof action);
    action.sa_handler = has_handler ? handle : SIG_IGN;
    if (has_handler) {
        REQUIRE(sigaction(SIGUSR1, &action, NULL) == 0);
        REQUIRE(sigaction(SIGUSR1, NULL, &read) == 0 && read.sa_handler == handle);
    } else {
        bool is_first = getenv("CORONER_SESSION") != NULL;
        REQUIRE(sigaction(is_first ? SIGUSR2 : SIGUSR1, &action, NULL) == 0);
    }
    kill(getpid(), SIGUSR1);
    if (!has_handler)
        kill(getpid(), SIGUSR2);
    REQUIRE(!has_handler || handled);
}

static void request(int signal)
{
    (void)signal;
    coroner_check_request();
}

/* Waits until the report is there, as a whole, by naps that must not end early. */
static void await(const char *path)
{
    enum { NAPS_MOST = 400, NAP_NS = 50000000 };
    struct timespec nap = {.tv_nsec = NAP_NS};
    struct stat status;
    off_t size = 0;
    for (int i = 0; i < NAPS_MOST; i++) {
        REQUIRE(nanosleep(&nap, NULL) == 0);
        REQUIRE(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
        bool is_there = stat(path, &status) == 0 && status.st_size > 0;
        if (is_there && status.st_size == size)
            return;
        size = is_there ? status.st_size : 0;
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    lose();
    void *large = NULL;
    wipe();
    if (strcmp(what, "signal") == 0 || strcmp(what, "handler") == 0)
        signals_send(what[0] == 'h');
    else if (strcmp(what, "size") == 0)
        fill(large = malloc(2 << 20), 2 << 20);
    else if (strcmp(what, "request") == 0)
        signal(SIGALRM, request), raise(SIGALRM);
    if (argc > 2)
        await(argv[2]);
    free(large);
    puts("went on");
    return 0;
}
