/*
 * The command line of `coroner`: mistakes are one line and exit 2, as in a shell a program that is
 * not there is 127 and one that cannot be executed 126, and what is not built yet is not offered.
 *
 * BUILD: once
 * RUN:    coroner run --no-such-option $CASE
 * EXPECT: stderr       /no-such-option/
 * EXPECT: stderr-lines 1
 * EXPECT: stdout-lines 0
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --error-exitcode=many $CASE
 * EXPECT: stderr       /many/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --format=html $CASE
 * EXPECT: stderr       /html/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --follow-children=perhaps $CASE
 * EXPECT: stderr       /perhaps/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner walk
 * EXPECT: stderr       /walk/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner core 1
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    coroner run --suppressions=no-such-file $CASE
 * EXPECT: stderr       /no-such-file/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=2
 *
 * RUN:    mkdir place; coroner run -o place $CASE; echo $?; coroner run --record=place/ $CASE; echo $?; \
 *         coroner run -o no/report $CASE; echo $?; ls place
 * EXPECT: stdout       /^2\n2\n2\n$/
 * EXPECT: stderr-lines 3
 *
 * RUN:    coroner run ./no-such-program
 * EXPECT: stderr       /no-such-program/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=127
 *
 * RUN:    coroner run no-such-command-anywhere
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=127
 *
 * RUN:    echo data >file; coroner run ./file
 * EXPECT: stderr       /file/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=126
 *
 * RUN:    coroner run /
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=126
 *
 * RUN:    coroner --version
 * EXPECT: stdout       /^coroner \d+\.\d+/
 * EXPECT: stderr-lines 0
 * EXPECT: exit         status=0
 *
 * RUN:    (coroner --help; coroner run --help) >help; \
 *         grep -q -- --format help && grep -q -- --follow-children help && \
 *         ! grep -qE 'html|pprof|sarif|coroner (watch|core)' help
 * EXPECT: exit         status=0
 *
 * RUN:    coroner run -f json -o report.json -- $CASE --help
 * EXPECT: lost         blocks=1 bytes=150 allocated_in=make_scrap
 * EXPECT: stdout       --help
 * EXPECT: exit         status=23
 *
 * RUN:    coroner run -f json -o report.json $CASE --format=text
 * EXPECT: lost         blocks=1 bytes=150 allocated_in=make_scrap
 * EXPECT: stdout       --format=text
 * EXPECT: exit         status=23
 *
 * RUN:    echo typed | coroner run -f json -o report.json $CASE input
 * EXPECT: stdout       /^input\ntyped$/
 * EXPECT: exit         status=23
 */
#include "case.h"

NOINLINE static void make_scrap(void)
{
    fill(malloc(150), 150);
}

int main(int argc, char **argv)
{
    char line[80];
    make_scrap();
    if (argc > 1)
        puts(argv[1]);
    if (said(argv, "input") && fgets(line, sizeof line, stdin) != NULL)
        fputs(line, stdout);
    wipe();
    return 0;
}
