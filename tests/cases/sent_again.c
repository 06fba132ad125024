/*
 * A signal that somebody sends to the launcher is for the program; sent again, to the launcher or to
 * both, it costs no report; nor does one to the whole group of a plain preload.  A timer that was set
 * before the launcher was started is the program's.
 *
 * BUILD: once
 * RUN:    mkfifo ready; coroner run -f json -o report.json $CASE lose 3>ready & run=$!; \
 *         read line <ready; while kill -TERM $run 2>/dev/null; do :; done; wait $run
 * EXPECT: lost       blocks=1 bytes=455 allocated_in=make_plan
 * EXPECT: process    exit.signal=15
 * EXPECT: exit       status=23
 *
 * RUN:    mkfifo ready; LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json \
 *         setsid $CASE lose 3>ready & run=$!; read line <ready; \
 *         trap "kill -KILL $run 2>/dev/null" EXIT; while kill -TERM -- -$run 2>/dev/null; do :; done; wait $run
 * EXPECT: lost       blocks=1 bytes=455 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    for signal in ALRM USR2 RTMIN+9; do mkfifo $signal; \
 *         coroner run $CASE 3>$signal & run=$!; read line <$signal; kill -$signal $run; wait $run; \
 *         echo $?; done
 * EXPECT: stdout     /^142\n140\n171\n$/
 *
 * RUN:    perl -e 'alarm 1; exec @ARGV' coroner run -f json -o report.json $CASE lose 3>/dev/null
 * NEEDS:  perl -e 1 # perl is missing
 * EXPECT: lost       blocks=1 bytes=455 allocated_in=make_plan
 * EXPECT: process    exit.signal=14
 * EXPECT: exit       status=23
 */
#include "case.h"

GLOBAL char *kept;

NOINLINE static char *make_plan(void)
{
    char *plan = malloc(455);
    fill(plan, 455);
    return plan;
}

int main(int argc, char **argv)
{
    (void)argc;
    kept = make_plan();
    if (said(argv, "lose"))
        kept = NULL;
    wipe();
    REQUIRE(write(3, "ready\n", 6) == 6);
    for (;;)
        pause();
}
