/*
 * A plain LD_PRELOAD gives the same report: on standard error, exit code 23, steered by
 * CORONER_OPTIONS.  The renderer that the shim starts is no child the program could see.
 *
 * BUILD: once
 * RUN:    LD_PRELOAD=$SHIM $CASE
 * EXPECT: stdout       no child seen
 * EXPECT: stderr       /make_paper/
 * EXPECT: exit         status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json:error_exitcode=0 $CASE
 * EXPECT: lost         blocks=1 bytes=290 allocated_in=make_paper
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit         status=0
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=record=kept.crn $CASE; rm -f report.json; \
 *         coroner report -f json -o report.json kept.crn
 * EXPECT: lost         blocks=1 bytes=290 allocated_in=make_paper
 * EXPECT: stderr       /make_paper/
 *
 * RUN:    LD_PRELOAD=$SHIM $CASE close-stderr-last
 * EXPECT: stderr       /make_paper/
 * EXPECT: exit         status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=colour=blue:format=json:output=report.json $CASE
 * EXPECT: stdout       no child seen
 * EXPECT: stderr       /colour/
 * EXPECT: stderr-lines 1
 * EXPECT: lost         blocks=1 bytes=290 allocated_in=make_paper
 * EXPECT: exit         status=23
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=error_exitcode=lots:format=json:output=report.json $CASE
 * EXPECT: stderr       /lots/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=23
 *
 * RUN:    cp $SHIM alone.so; LD_PRELOAD=$PWD/alone.so $CASE 2>said; cat said >&2; \
 *         kept=$(grep -o '/[^ ]*\.crn' said); coroner report -f json -o report.json $kept; rm $kept
 * EXPECT: stdout       no child seen
 * EXPECT: stderr-lines 1
 * EXPECT: lost         blocks=1 bytes=290 allocated_in=make_paper
 * EXPECT: exit         status=0
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE fork; \
 *         test $? = 23
 * EXPECT: lost         in=parent blocks=1 bytes=290 allocated_in=make_paper
 * EXPECT: exit         status=0
 */
#include "case.h"

#include <errno.h>
#include <sys/wait.h>

GLOBAL char *kept;
GLOBAL volatile sig_atomic_t children_heard_of;

NOINLINE static char *make_paper(void)
{
    char *paper = malloc(290);
    fill(paper, 290);
    return paper;
}

static void note_child(int number)
{
    (void)number;
    children_heard_of++;
}

/* As coreutils' programs do, to learn whether all that they said was written. */
static void close_stderr(void)
{
    REQUIRE(fclose(stderr) == 0);
}

/* The last thing the program does: it waits for a child it never made. */
static void look_for_children(void)
{
    REQUIRE(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
    REQUIRE(children_heard_of == 0);
    puts("no child seen");
}

int main(int argc, char **argv)
{
    (void)argc;
    signal(SIGCHLD, note_child);
    atexit(look_for_children);
    kept = make_paper();
    if (!said(argv, "twin"))
        kept = NULL;
    if (said(argv, "close-stderr-last"))
        atexit(close_stderr);
    if (said(argv, "fork")) {
        int status;
        signal(SIGCHLD, SIG_DFL);
        pid_t child = fork();
        if (child == 0)
            _exit(3);
        REQUIRE(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 3);
    }
    wipe();
    return 0;
}
