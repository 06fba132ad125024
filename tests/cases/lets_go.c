/*
 * A program lets go of its standard files and runs on: whoever reads or writes their other sides
 * sees it at once.  Here the program waits for a file that the other side makes when it has seen
 * the end.  What it does with descriptor 2 decides where the report of a plain preload goes: where
 * 2 leads when the end begins, unless that is nowhere or was not meant for words; then the
 * recording is kept.
 *
 * BUILD: once
 * RUN:    mkdir t; export TMPDIR=$PWD/t; for how in close fclose closefrom daemon; do rm -f gone; \
 *         LD_PRELOAD=$SHIM $CASE $how 2>&1 | { cat >said; touch gone; }; echo ${PIPESTATUS[0]}; \
 *         while ! ls t | grep -q crn$; do sleep 0.1; done; cat said; ls t | wc -l; \
 *         coroner report -f json -o report.json.$how $PWD/t/c*; rm t/c*; done
 * EXPECT: stdout     /^(23\n1\n){3}0\n1\n$/
 * EXPECT: lost       blocks=4 bytes=1580 allocated_in=make_form
 *
 * RUN:    coroner run -o report $CASE close-first | { cat; touch gone; }; echo ${PIPESTATUS[0]}; \
 *         rm gone; (trap '' PIPE; yes 2>&1; touch gone) | coroner run $CASE close-first
 * EXPECT: stdout     23
 * EXPECT: exit       status=23
 *
 * RUN:    mkdir t; export TMPDIR=$PWD/t; for how in replace reopen append; do \
 *         LD_PRELOAD=$SHIM $CASE $how; echo $?; grep -c "^ *make_form" log; rm log; done; ls t
 * EXPECT: stdout     /^(23\n1\n){3}$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    mkdir t; export TMPDIR=$PWD/t; for how in data socket null; do \
 *         (LD_PRELOAD=$SHIM exec $CASE $how); echo $?; done; cat data; ls t | wc -l
 * EXPECT: stdout     /^23\n23\n23\ndata\n3\n$/
 * EXPECT: stderr-lines 0
 *
 * RUN:    (LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json exec $CASE data-out) 2>said; echo $?; \
 *         cat data; tail -n +2 said >report.json
 * EXPECT: stdout     /^23\ndata\n$/
 * EXPECT: lost       blocks=1 bytes=395 allocated_in=make_form
 */
#include "case.h"

#include <fcntl.h>
#include <sys/socket.h>

GLOBAL char *kept;

NOINLINE static char *make_form(void)
{
    char *form = malloc(395);
    fill(form, 395);
    return form;
}

static void let_go(const char *how)
{
    if (strcmp(how, "close") == 0 || strcmp(how, "close-first") == 0) {
        close(0);
        close(1);
    }
    if (strcmp(how, "close") == 0) {
        close(2);
    } else if (strcmp(how, "fclose") == 0) {
        fclose(stdout);
        fclose(stderr);
    } else if (strcmp(how, "closefrom") == 0) {
        closefrom(0);
    } else if (strcmp(how, "daemon") == 0) {
        REQUIRE(daemon(1, 0) == 0);
    }
}

/* What number 2 means from here on. */
static void move_stderr(const char *how)
{
    if (strcmp(how, "replace") == 0) {
        dup2(open("log", O_WRONLY | O_CREAT, 0600), 2);
    } else if (strcmp(how, "reopen") == 0) {
        REQUIRE(freopen("log", "w", stderr) == stderr);
    } else if (strcmp(how, "append") == 0) {
        close(2);
        REQUIRE(open("log", O_RDWR | O_CREAT | O_APPEND, 0600) == 2);
    } else if (strcmp(how, "data") == 0) {
        close(2);
        REQUIRE(open("data", O_RDWR | O_CREAT, 0600) == 2 && write(2, "data\n", 5) == 5);
    } else if (strcmp(how, "data-out") == 0) {
        close(1);
        REQUIRE(open("data", O_RDWR | O_CREAT, 0600) == 1 && write(1, "data\n", 5) == 5);
    } else if (strcmp(how, "socket") == 0) {
        int pair[2];
        char byte;
        close(2);
        REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pair[0] == 2);
        REQUIRE(send(2, "", 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
    } else if (strcmp(how, "null") == 0) {
        dup2(open("/dev/null", O_RDWR), 2);
    }
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    let_go(how);
    move_stderr(how);
    kept = make_form();
    kept = NULL;
    wipe();
    if (strncmp(how, "close", 5) == 0 || strcmp(how, "fclose") == 0 || strcmp(how, "daemon") == 0)
        while (access("gone", F_OK) != 0)
            usleep(10000);
    return 3;
}
