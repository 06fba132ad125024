/*
 * A program for LeakSanitizer's interface that is linked with libcoroner-probes.a needs no shim to
 * run, finds it where it is preloaded, and its answers count, although the loader does not show
 * them.
 *
 * BUILD: once
 * BUILD: archive
 * RUN:    $CASE
 * EXPECT: stdout     leaks 0
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=311 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=310
 * EXPECT: stdout     leaks 1
 * EXPECT: exit       status=7
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json LD_PRELOAD=$SHIM $CASE
 * EXPECT: lost       blocks=1 bytes=311 allocated_in=make_other
 * EXPECT: summary    suppressed_blocks=1 suppressed_bytes=310
 * EXPECT: stdout     leaks 1
 * EXPECT: exit       status=7
 *
 * RUN:    CORONER_OPTIONS=error_exitcode=9 LD_PRELOAD=$SHIM $CASE
 * EXPECT: exit       status=9
 *
 * RUN:    TURNED_OFF=1 LD_PRELOAD=$SHIM $CASE
 * EXPECT: stdout     leaks 0
 * EXPECT: stderr-lines 0
 * EXPECT: exit       status=0
 */
#include "lsan_hooks.c"
