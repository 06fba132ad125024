/*
 * A report that cannot be made, or that nobody can see, costs no recording: it is kept, one line
 * says where and how to render it, and the exit code tells.  Here the report goes to a pipe that
 * nobody reads, so whoever makes it waits, and can be ended.
 *
 * BUILD: once
 * RUN:    mkdir t; mkfifo out; TMPDIR=$PWD/t coroner run -o out $CASE 2>said & run=$!; \
 *         until ls t | grep -q closed && child=$(pgrep -P $run); do sleep 0.02; done; \
 *         kill -KILL $child; wait $run; echo $?; grep -c kept said; ls *.crn t | wc -l; \
 *         $(grep -o 'coroner report .*crn$' said) -f json -o report.json
 * EXPECT: stdout     /^23\n1\n3\n$/
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 * EXPECT: process    exit.code=3
 *
 * RUN:    mkdir t; mkfifo out; TMPDIR=$PWD/t coroner run -f json -o out $CASE 2>said & run=$!; \
 *         until ls t | grep -q closed; do sleep 0.02; done; kill -TERM $run; \
 *         sleep 0.2; grep -c kept said; kill -HUP $run; until grep -q kept said; do sleep 0.02; done; \
 *         cat out >report.json; wait $run; echo $?; cat said >&2; ls *.crn | wc -l
 * EXPECT: stdout     /^0\n23\n1\n$/
 * EXPECT: stderr     /still being made; the recording is kept, render with: coroner report \/.*crn$/
 * EXPECT: stderr-lines 1
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 *
 * RUN:    mkdir t s; export TMPDIR=$PWD/t XDG_STATE_HOME=$PWD/s; mkfifo out; \
 *         coroner run -o out $CASE & run=$!; \
 *         until ls t | grep -q closed && child=$(pgrep -P $run); do sleep 0.02; done; \
 *         coroner run true 2>&1 | grep -c kept; kill -KILL $run $child; wait $run; echo $?; \
 *         cd /; coroner run true 2>$OLDPWD/said; cd $OLDPWD; ls t | wc -l; \
 *         grep -c '^coroner: .*was killed; the recording is kept' said; \
 *         $(grep -o 'coroner report .*crn$' said) -f json -o report.json; \
 *         coroner run true 2>&1 | grep -c kept
 * EXPECT: stdout     /^0\n137\n0\n1\n0\n$/
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 *
 * RUN:    mkdir t; export TMPDIR=$PWD/t; mkfifo ready go; \
 *         coroner run -f json -o report.json $CASE waits & run=$!; read line <ready; \
 *         child=$(pgrep -P $run); kill -KILL $run; wait $run; echo >go; \
 *         until ls report.json.*; do sleep 0.02; done 2>/dev/null; \
 *         while kill -0 $child 2>/dev/null; do sleep 0.02; done; coroner run true; ls t | wc -l
 * EXPECT: stdout     /^report.json.\d+\n0$/
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 *
 * RUN:    coroner run $CASE 2>/dev/full; echo $?; LD_PRELOAD=$SHIM $CASE 2>/dev/full; echo $?; \
 *         coroner run -o /dev/full $CASE 2>/dev/full; echo $?; \
 *         coroner run -o /dev/full $CASE kept 2>/dev/full; echo $?; ls *.crn | wc -l; \
 *         for each in *.crn; do coroner report -f json -o report.json.$each $each; done
 * EXPECT: stdout     /^23\n23\n23\n3\n4\n$/
 * EXPECT: lost       blocks=3 bytes=1095 allocated_in=make_bill
 *
 * RUN:    mkdir t; export TMPDIR=$PWD/t; unshare -m bash -c 'mount -t tmpfs -o size=64k none t; \
 *         dd if=/dev/zero of=t/fill bs=1k count=64 2>/dev/null; coroner run -f json -o report.json \
 *         $CASE; echo $?; ls t; coroner run -o t/report $CASE 2>/dev/full; echo $?; ls *.crn | wc -l'
 * NEEDS:  unshare -m mount -t tmpfs none /mnt # no disk can be made here
 * EXPECT: stdout     /^23\nfill\n23\n1\n$/
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=suppressions=none:suppressions=no $CASE 2>said; echo $?; \
 *         grep -c make_bill said; grep -c "no.*goes without it" said; mkfifo out; \
 *         LD_PRELOAD=$SHIM CORONER_OPTIONS=output=out $CASE 2>said & run=$!; \
 *         until test $(pgrep -x coroner -g 0 | wc -l) = 2; do sleep 0.02; done; \
 *         kill -KILL $(pgrep -n -x coroner -g 0); wait $run; echo $?; \
 *         $(grep -o 'coroner report .*crn$' said) -f json -o report.json
 * EXPECT: stdout     /^23\n1\n2\n23\n$/
 * EXPECT: lost       blocks=1 bytes=365 allocated_in=make_bill
 *
 * RUN:    mkfifo out; export XDG_STATE_HOME=/proc/none; unset HOME; mkdir t; export TMPDIR=$PWD/t; \
 *         out=$PWD/out said=$PWD/said; cd /; coroner run -o $out $CASE 2>$said & run=$!; \
 *         until ls $TMPDIR | grep -q closed && child=$(pgrep -P $run); do sleep 0.02; done; \
 *         kill -KILL $child; wait $run; echo $?; kept=$(grep -o '/.*crn$' $said); ls -l $kept | cut -c1-10; rm $kept
 * EXPECT: stdout     /^23\n-rw-------\n$/
 *
 * RUN:    (ulimit -s 128; exec coroner run $CASE) 2>/dev/null; echo $?; \
 *         (ulimit -s 128; LD_PRELOAD=$SHIM exec $CASE) 2>&1 | grep -c make_bill; \
 *         ulimit -s 64; coroner run true 2>/dev/null; echo $?
 * EXPECT: stdout     /^23\n1\n0\n$/
 */
#include "case.h"

#include <fcntl.h>

GLOBAL char *kept;

NOINLINE static char *make_bill(void)
{
    char *bill = malloc(365);
    fill(bill, 365);
    return bill;
}

int main(int argc, char **argv)
{
    char go;
    (void)argc;
    kept = make_bill();
    if (said(argv, "waits")) {
        int ready = open("ready", O_WRONLY);
        REQUIRE(write(ready, "ready\n", 6) == 6 && close(ready) == 0);
        int gate = open("go", O_RDONLY);
        REQUIRE(read(gate, &go, 1) == 1);
    }
    if (!said(argv, "kept"))
        kept = NULL;
    wipe();
    return 3;
}
