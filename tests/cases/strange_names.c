/*
 * What a program, a user or a file calls itself may hold any byte.  Nothing of that leaves Coroner
 * which would steer a terminal, turn the order of a line or make two of it: not in a report, nor
 * in a message, whoever says it.  JSON is UTF-8, and tells a program all the same what it was.
 * A new report is readable by its owner only; a file that was there keeps its mode.
 *
 * BUILD: once
 * RUN:    name=$(printf 'odd\033]0;x\007\342\200\256eman\302\233\177'); cp $CASE "$name"; \
 *         coroner run --output=report.txt "./$name" "$(printf 'a\342\201\246b\nc\377')"; \
 *         grep -q make_odd report.txt && ! LC_ALL=C grep -q -a -P \
 *         '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xff' \
 *         report.txt && iconv -f utf-8 -t utf-8 report.txt >/dev/null
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    name=$(printf 'odd\033]0;x\007\342\200\256eman\302\233\177'); cp $CASE "$name"; \
 *         coroner run --format=json --output=report.json "./$name" "$(printf 'a\342\201\246b\377')"; \
 *         ! LC_ALL=C grep -q -a -P \
 *         '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xff' \
 *         report.json && /usr/bin/python3 -c 'import json, sys; \
 *         argv = json.load(open("report.json", encoding="utf-8"))["processes"][0]["argv"]; \
 *         sys.exit(argv != ["./odd\033]0;x\007\u202eeman\x9b\x7f", "a\u2066b\ufffd"])'
 * EXPECT: lost         blocks=1 bytes=170 allocated_in=make_odd
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    odd=$(printf '\033[31m\342\200\256\n\302\205'); { \
 *         printf "leak:x\nwhat\033[2J$odd:y\n" >known; coroner run --suppressions=known $CASE; \
 *         coroner run "--suppressions=no$odd" $CASE; coroner run "--no$odd" $CASE; \
 *         coroner run "--stacks=no$odd" $CASE; coroner run "./no$odd"; coroner report "no$odd"; \
 *         coroner "no$odd"; coroner run "--output=no/$odd/such" $CASE; \
 *         coroner report --record="no$odd" known; } 2>said; \
 *         ! LC_ALL=C grep -q -a -P '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]' \
 *         said && test $(wc -l <said) = 9 && test $(grep -c ^coroner: said) = 9
 * EXPECT: exit         status=0
 *
 * RUN:    odd=$(printf '\033[31m\342\200\256\n\302\205'); LD_PRELOAD=$SHIM \
 *         CORONER_OPTIONS="no$odd=1:output=report.json:format=json" LSAN_OPTIONS="exitcode=no$odd" \
 *         $CASE 2>said; ! LC_ALL=C grep -q -a -P \
 *         '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]' said && \
 *         test $(wc -l <said) = 2
 * EXPECT: lost         blocks=1 bytes=170 allocated_in=make_odd
 * EXPECT: exit         status=0
 *
 * RUN:    umask 0; touch old.txt; chmod 640 old.txt; coroner run --output=new.txt $CASE; \
 *         coroner run --output=old.txt $CASE; LD_PRELOAD=$SHIM \
 *         CORONER_OPTIONS=output=plain.txt $CASE; \
 *         test "$(stat -c %a new.txt old.txt plain.txt | tr '\n' ' ')" = '600 640 600 '
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 */
#include "case.h"

NOINLINE static void make_odd(void)
{
    fill(malloc(170), 170);
}

int main(void)
{
    make_odd();
    wipe();
    return 0;
}
