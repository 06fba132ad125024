/*
 * A crash, an abort or SIGKILL gets no check: no summary, no leaks, one warning, and the status
 * that a shell would give.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE 9
 * EXPECT: process    summary=null exit.signal=9 exit.code=null
 * EXPECT: warning    /./
 * EXPECT: none
 * EXPECT: exit       status=137
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 6
 * EXPECT: process    summary=null exit.signal=6
 * EXPECT: warning    /./
 * EXPECT: exit       status=134
 *
 * RUN:    coroner run --format=json --output=report.json $CASE crash
 * EXPECT: process    summary=null exit.signal=11
 * EXPECT: warning    /./
 * EXPECT: exit       status=139
 *
 * RUN:    coroner run --record=raw.crn --output=report.txt $CASE 9; \
 *         coroner report --format=json --output=report.json raw.crn
 * EXPECT: process    summary=null exit.signal=9
 * EXPECT: exit       status=0
 */
#include "case.h"

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    fill(malloc(400), 400);
    wipe();
    volatile int *volatile nowhere = NULL;
    if (said(argv, "crash"))
        *nowhere = 1;
    else if (said(argv, "6"))
        abort();
    else
        kill(getpid(), SIGKILL);
    return 0;
}
