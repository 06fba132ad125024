/*
 * A kept recording says the same as the report of the run it came from, in any format, is readable
 * by its owner only, and does not change the exit code of `report`.  What is no whole recording is
 * refused with one clear line and exit 2.
 *
 * BUILD: once
 * RUN:    coroner run --record=raw.crn --output=report.txt $CASE; \
 *         test $(stat -c %a raw.crn) = 600 || exit 99; \
 *         coroner report --format=json --output=report.json raw.crn
 * EXPECT: lost         blocks=1 bytes=210 allocated_in=make_stamp
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    coroner run --record=raw.crn --output=report.txt $CASE; \
 *         coroner report --error-exitcode=17 --format=json --output=report.json raw.crn
 * EXPECT: lost         blocks=1 bytes=210 allocated_in=make_stamp
 * EXPECT: exit         status=17
 *
 * RUN:    coroner run --record=raw.crn --format=json --output=first.json $CASE; \
 *         coroner report --format=json raw.crn >second.json; cmp first.json second.json
 * EXPECT: exit         status=0
 *
 * RUN:    coroner run --record=raw.crn --output=first.txt $CASE; \
 *         coroner report raw.crn >second.txt; cmp first.txt second.txt
 * EXPECT: exit         status=0
 *
 * RUN:    coroner report no-such-recording
 * EXPECT: stderr       /^coroner: .*no-such-recording/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --record=raw.crn --output=report.txt $CASE; head -c 100 raw.crn >short.crn; \
 *         coroner report short.crn
 * EXPECT: stderr       /^coroner: .*short\.crn/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --record=raw.crn --output=report.txt $CASE; \
 *         head -c $(($(stat -c %s raw.crn) / 2)) raw.crn >half.crn; coroner report half.crn
 * EXPECT: stderr       /^coroner: .*half\.crn/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    : >empty.crn; coroner report empty.crn
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner report /bin/true
 * EXPECT: stderr       /^coroner: .+true/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    mkdir directory.crn; coroner report directory.crn
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner report
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 */
#include "case.h"

NOINLINE static void make_stamp(void)
{
    fill(malloc(210), 210);
}

int main(void)
{
    make_stamp();
    wipe();
    return 0;
}
