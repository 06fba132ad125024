/*
 * Nobody reads what Coroner says, no file may grow, or the terminal is not for background jobs: the
 * program, which writes nothing, must not feel it, and the launcher must not die of it.
 *
 * BUILD: once
 * RUN:    LD_PRELOAD=$SHIM $CASE alone 2 2>&1 | true; echo ${PIPESTATUS[0]}; \
 *         coroner run $CASE alone 2 2>&1 | true; echo ${PIPESTATUS[0]}; mkdir t; \
 *         TMPDIR=$PWD/t coroner run -f json $CASE alone 1 2>report.json | true; \
 *         echo ${PIPESTATUS[0]}; ls t; sed -i 1d report.json
 * EXPECT: stdout     /^23\n23\n23\n$/
 * EXPECT: lost       blocks=1 bytes=245 allocated_in=make_note
 *
 * RUN:    export CORONER_OPTIONS=nonsense=1:error_exitcode=0; \
 *         (LD_PRELOAD=$SHIM exec $CASE) 2> >(exit); echo $?; exec 3> >(exit); wait $!; \
 *         (LD_PRELOAD=$SHIM exec $CASE) 2>&3; echo $?; (LD_PRELOAD=$SHIM exec $CASE kept) 2>&3; \
 *         echo $?; coroner run $CASE 2>&3; echo $?
 * EXPECT: stdout     /^(3\n){4}$/
 *
 * RUN:    for lose in kept ""; do LD_PRELOAD=$SHIM $CASE prints $lose alone 1 | true; \
 *         echo ${PIPESTATUS[0]}; coroner run $CASE prints $lose alone 1 | true; \
 *         echo ${PIPESTATUS[0]}; done
 * EXPECT: stdout     /^141\n141\n23\n23\n$/
 *
 * RUN:    (ulimit -f 0; LD_PRELOAD=$SHIM exec $CASE) 2>&1 | grep -c make_note; \
 *         (ulimit -f 0; LD_PRELOAD=$SHIM exec $CASE) >/dev/null 2>&1; echo $?; \
 *         coroner run -f json -o report.json $CASE limits; echo $?; \
 *         (ulimit -f 0; coroner run $CASE; echo $?) 2>&1 | grep -cE 'make_note|^23$'
 * EXPECT: stdout     /^1\n23\n23\n2\n$/
 * EXPECT: lost       blocks=1 bytes=245 allocated_in=make_note
 *
 * RUN:    job() { python3 $(dirname $SOURCE)/in_background.py "$@"; }; job sh -c 'echo no'; \
 *         job coroner run $CASE; job env LD_PRELOAD=$SHIM $CASE
 * EXPECT: stdout     /^stopped\nended with 23\nended with 23\n$/
 */
#include "case.h"

#include <poll.h>
#include <sys/resource.h>

GLOBAL char *kept;

NOINLINE static char *make_note(void)
{
    char *note = malloc(245);
    fill(note, 245);
    return note;
}

int main(int argc, char **argv)
{
    kept = make_note();
    if (!said(argv, "kept"))
        kept = NULL;
    if (said(argv, "limits")) {
        const struct rlimit nothing = {0, 0};
        REQUIRE(setrlimit(RLIMIT_FSIZE, &nothing) == 0);
    }
    if (said(argv, "prints"))
        puts("What a stream holds is written at the very end, and that may end the program.");
    if (said(argv, "alone")) {
        struct pollfd reader = {.fd = atoi(argv[argc - 1])};
        while (poll(&reader, 1, 1000) >= 0 && (reader.revents & POLLERR) == 0)
            ;
    }
    wipe();
    return 3;
}
