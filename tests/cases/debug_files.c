/*
 * A recording names modules, and those name files with their debugging information.  Whatever lies
 * there now is opened only if it is a plain file, and opening it does not wait: not for who would
 * write into a pipe.  No server is asked unless that was wanted, and never at a plain preload's end.
 * So it is with what lies where recordings do, and with the interpreter of a script.
 *
 * BUILD: once
 * RUN:    cp $CASE p; objcopy --only-keep-debug p p.debug; strip p; \
 *         objcopy --add-gnu-debuglink=p.debug p; coroner run --output=report.txt ./p; \
 *         grep -q 'make_unseen .*debug_files.c:' report.txt
 * EXPECT: exit         status=0
 *
 * RUN:    cp $CASE p; objcopy --only-keep-debug p p.debug; strip -g p; \
 *         objcopy --add-gnu-debuglink=p.debug p; mkdir .debug; rm p.debug; mkfifo p.debug \
 *         .debug/p.debug; timeout -s KILL 20 coroner run --format=json --output=report.json ./p
 * EXPECT: lost         blocks=1 bytes=180 allocated_in=make_unseen
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=23
 *
 * RUN:    gcc -g -gsplit-dwarf -c -o p.o $SOURCE && gcc -o p p.o && rm p.dwo && mkfifo p.dwo && \
 *         timeout -s KILL 20 coroner run --format=json --output=report.json ./p
 * EXPECT: lost         blocks=1 bytes=180 allocated_in=make_unseen
 * EXPECT: exit         status=23
 *
 * RUN:    cp $CASE p; printf 'p.alt\0aaaaaaaaaaaaaaaaaaaa' >link; mkfifo p.alt; \
 *         objcopy --add-section .gnu_debugaltlink=link p; \
 *         timeout -s KILL 20 coroner run --format=json --output=report.json ./p
 * EXPECT: lost         blocks=1 bytes=180 allocated_in=make_unseen
 * EXPECT: exit         status=23
 *
 * RUN:    cp $CASE p; coroner run --record=raw.crn ./p 2>/dev/null; rm p; mkfifo p; \
 *         timeout -s KILL 20 coroner report --format=json --output=report.json raw.crn
 * EXPECT: lost         blocks=1 bytes=180
 * EXPECT: warning      /p cannot be read \(it is no plain file\)/
 * EXPECT: exit         status=0
 *
 * RUN:    cp $CASE p; coroner run --record=raw.crn ./p 2>/dev/null; gzip p; mv p.gz p; \
 *         timeout -s KILL 20 coroner report --format=json --output=report.json raw.crn
 * EXPECT: lost         blocks=1 bytes=180
 * EXPECT: warning      /p cannot be read \(it is no ELF file\)/
 * EXPECT: exit         status=0
 *
 * RUN:    cp $CASE p; strip p; $(dirname $SOURCE)/silent_server.py \
 *         timeout -s KILL 20 coroner run --format=json --output=report.json ./p; \
 *         echo $?; cat asked
 * EXPECT: lost         blocks=1 bytes=180
 * EXPECT: stdout       /^23\nno\n$/
 *
 * RUN:    cp $CASE p; strip p; $(dirname $SOURCE)/silent_server.py timeout -s KILL 20 env \
 *         LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json:debuginfod=1 ./p; \
 *         echo $?; cat asked
 * EXPECT: lost         blocks=1 bytes=180
 * EXPECT: stdout       /^23\nno\n$/
 *
 * RUN:    cp $CASE p; strip p; coroner run --record=raw.crn ./p 2>/dev/null; \
 *         $(dirname $SOURCE)/silent_server.py \
 *         timeout -s KILL 60 coroner report --debuginfod --format=json --output=report.json raw.crn; \
 *         echo $?; cat asked
 * NEEDS:  ldconfig -p | grep -q libdebuginfod # no debuginfod client
 * EXPECT: lost         blocks=1 bytes=180
 * EXPECT: stdout       /^0\nyes\n$/
 *
 * RUN:    TMPDIR=$PWD timeout -s KILL 20 coroner run --format=json --output=report.json sh -c \
 *         'for each in coroner-*; do mkfifo $each/1.0.crn; done; exec "$0"' $CASE
 * EXPECT: lost         blocks=1 bytes=180 allocated_in=make_unseen
 * EXPECT: exit         status=23
 *
 * RUN:    mkfifo sh; chmod +x sh; printf '#!%s\n' $PWD/sh >script; chmod +x script; \
 *         timeout -s KILL 20 coroner run ./script
 * EXPECT: stderr       /cannot be executed/
 * EXPECT: exit         status=126
 *
 * RUN:    coroner run --suppressions=<(echo leak:make_unseen) --format=json \
 *         --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit         status=0
 */
#include "case.h"

NOINLINE static void make_unseen(void)
{
    fill(malloc(180), 180);
}

int main(void)
{
    make_unseen();
    wipe();
    return 0;
}
