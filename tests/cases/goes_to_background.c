/*
 * A program that goes to the background lives longer than its launcher.  Where its standard streams
 * lead nowhere by then, its report goes to a file that the launcher's last line names; without a
 * launcher, to the system's log, and the recording is kept.  What goes before is checked, too; of a
 * process that ends past us nothing is claimed.
 *
 * BUILD: once
 * RUN:    mkdir t; export TMPDIR=$PWD/t; for how in daemon by-hand; do \
 *         coroner run -f json $CASE $how >first.$how 2>said; \
 *         file=$(tail -1 said | grep -o '/[^ ]*json$'); until test -s pid; do sleep 0.02; done; \
 *         kill -TERM $(cat pid); until test -s $file; do sleep 0.02; done; stat -c %a $file; \
 *         while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done; mv $file report.json.$how; \
 *         rm pid; grep -c 'lives on' said; done; ls t | wc -l
 * EXPECT: stdout     /^(600\n1\n){2}0\n$/
 * EXPECT: lost       blocks=2 bytes=750 allocated_in=make_log
 * EXPECT: processes  2
 *
 * RUN:    coroner run $CASE daemon 2>said; until test -s pid; do sleep 0.02; done; \
 *         kill -TERM $(cat pid); file=$(tail -1 said | grep -o '/[^ ]*txt$'); \
 *         until grep -s make_log $file; do sleep 0.02; done; grep -c 'no leaks' said; \
 *         grep -c 'not checked' said; ls *.crn 2>/dev/null
 * EXPECT: stdout     /^ +make_log .*\n1\n0\n$/
 *
 * RUN:    python3 -uc 'import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
 *         s.bind("/dev/log"); open("ready", "w"); s.settimeout(20); \
 *         [print(line) for line in iter(lambda: s.recv(9999).decode(), "")]' >log 2>/dev/null & log=$!; \
 *         trap "kill $log; rm -f /dev/log" EXIT; until test -e ready; do sleep 0.02; done; \
 *         mkdir t; TMPDIR=$PWD/t LD_PRELOAD=$SHIM $CASE daemon; echo $?; \
 *         until test -s pid; do sleep 0.02; done; kill -TERM $(cat pid); \
 *         while kill -0 $(cat pid) 2>/dev/null; do sleep 0.02; done; sleep 0.1; kill $log; \
 *         wait $log; grep -c ' make_log ' log; grep -c 'coroner report' log; \
 *         coroner report -f json -o report.json $(find t -name "*.crn"); ls t | wc -l
 * NEEDS:  test -w /dev -a ! -e /dev/log # the system's log is there, or could not be played
 * ALONE:
 * EXPECT: stdout     /^0\n1\n1\n1\n$/
 * EXPECT: lost       blocks=1 bytes=375 allocated_in=make_log
 *
 * RUN:    coroner run $CASE past 2>said; echo $?; grep -c 'ended by a system call' said; \
 *         grep -c 'could not be watched\|no leaks' said; \
 *         coroner run sh -c "exec $(dirname $CASE)/static_program" 2>&1 | \
 *         grep -c 'it last became could not be watched (static_program)'
 * EXPECT: stdout     /^4\n1\n0\n1\n$/
 */
#include "case.h"

#include <fcntl.h>
#include <sys/syscall.h>

NOINLINE static void make_log(void)
{
    fill(malloc(375), 375);
}

/* As servers do it that do not trust daemon(3). */
static void leave_by_hand(void)
{
    if (fork() != 0)
        _exit(0);
    setsid();
    if (fork() != 0)
        _exit(0);
    closefrom(0);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "past"))
        syscall(SYS_exit_group, 4);
    if (said(argv, "by-hand"))
        leave_by_hand();
    else
        REQUIRE(daemon(1, 0) == 0);
    make_log();
    wipe();
    FILE *file = fopen("pid.new", "w");
    REQUIRE(file != NULL && fprintf(file, "%d\n", (int)getpid()) > 0 && fclose(file) == 0);
    REQUIRE(rename("pid.new", "pid") == 0);
    for (;;)
        pause();
}
