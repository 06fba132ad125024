/*
 * What a program answers to LeakSanitizer counts: __lsan_default_options where nobody says
 * otherwise (LSAN_OPTIONS, then Coroner's own options), __lsan_default_suppressions beside the
 * others, for its checks and its report alike, and __lsan_is_turned_off for all.
 *
 * BUILD: once
 * BUILD: linked
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=311 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=310
 * EXPECT: stdout     leaks 1
 * EXPECT: exit       status=7
 *
 * RUN:    LD_PRELOAD=$SHIM CORONER_OPTIONS=format=json:output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=311 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=310
 * EXPECT: stdout     leaks 1
 * EXPECT: exit       status=7
 *
 * RUN:    coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=310
 * EXPECT: stdout     leaks 0
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    LD_PRELOAD=$SHIM $CASE twin
 * EXPECT: stdout     leaks 0
 * EXPECT: stderr     /^coroner: no leaks.*suppressed 310 bytes in 1 block$/
 * EXPECT: exit       status=0
 *
 * RUN:    LSAN_OPTIONS=exitcode=8 coroner run --format=json --output=report.json $CASE
 * EXPECT: exit       status=8
 *
 * RUN:    LSAN_OPTIONS=exitcode=8 $CASE
 * EXPECT: exit       status=8
 *
 * RUN:    LSAN_OPTIONS=exitcode=8 coroner run --error-exitcode=9 $CASE
 * EXPECT: exit       status=9
 *
 * RUN:    LSAN_OPTIONS=exitcode=8 CORONER_OPTIONS=error_exitcode=9 $CASE
 * EXPECT: exit       status=9
 *
 * RUN:    TURNED_OFF=1 coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: warning    /turned off/
 * EXPECT: process    summary=null
 * EXPECT: stdout     leaks 0
 * EXPECT: exit       status=0
 *
 * RUN:    TURNED_OFF=1 $CASE
 * EXPECT: stdout     leaks 0
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 */
#include "case.h"
#include "lsan.h"

const char *__lsan_default_options(void)
{
    return "exitcode=7:report_objects=1";
}

const char *__lsan_default_suppressions(void)
{
    return "# known\nleak:make_known\n";
}

/* A constant, as far as one run can tell. */
int __lsan_is_turned_off(void)
{
    return getenv("TURNED_OFF") != NULL;
}

NOINLINE static void make_known(void)
{
    fill(malloc(310), 310);
}

NOINLINE static void make_other(void)
{
    fill(malloc(311), 311);
}

int main(int argc, char **argv)
{
    (void)argc;
    setvbuf(stdout, NULL, _IONBF, 0);
    make_known();
    if (!said(argv, "twin"))
        make_other();
    wipe();
    printf("leaks %d\n", __lsan_do_recoverable_leak_check());
    wipe();
    return 0;
}
