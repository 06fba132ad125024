/*
 * Where there is nothing to tell but that nothing was lost, a plain preload says so itself: no file
 * is made for it, and no command started; the words are those of a report.  Where the options want
 * more, or its standard error cannot take it, the command does.
 *
 * BUILD: once
 * RUN:    mkdir t; chmod 555 t; TMPDIR=$PWD/t CORONER_LAUNCHER=/bin/false LD_PRELOAD=$SHIM $CASE; \
 *         ls t; sed -i 's/ [0-9.]* m\?s//g' said; cat said
 * EXPECT: stdout     /^coroner: no leaks; [0-9]+ allocations, 4,096 bytes still live; checked in \(paused, 1\.[0-9] MiB\)\n$/
 *
 * RUN:    strip() { sed 's/ [0-9.]* m\?s//g; s/, [0-9.]* .iB)/)/' $1; }; \
 *         LD_PRELOAD=$SHIM $CASE; strip said >here; \
 *         CORONER_OPTIONS=suppressions=/dev/null LD_PRELOAD=$SHIM $CASE; strip said | diff here - ; \
 *         CORONER_OPTIONS=record=k LD_PRELOAD=$SHIM $CASE; test -s k; echo $?; \
 *         coroner report k 2>&1 | strip | diff here -; \
 *         CORONER_OPTIONS=quiet=yes LD_PRELOAD=$SHIM $CASE; wc -c <said
 * EXPECT: stdout     /^0\n0\n$/
 *
 * RUN:    CORONER_OPTIONS=quiet=yes LD_PRELOAD=$SHIM $CASE 3; echo $?; \
 *         CORONER_OPTIONS=format=json:output=report.json LD_PRELOAD=$SHIM $CASE 3; echo $?
 * EXPECT: stdout     /^3\n3\n$/
 * EXPECT: none
 */
#include "case.h"

#include <fcntl.h>

GLOBAL char *kept;

int main(int argc, char **argv)
{
    int said = open("said", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    REQUIRE(said >= 0 && dup2(said, 2) == 2);
    close(said);
    for (int i = 0; i < 2; i++) {
        char *passing = malloc(100);
        fill(passing, 100);
        free(passing);
    }
    kept = malloc(4096);
    fill(kept, 4096);
    wipe();
    return argc > 1 ? atoi(argv[1]) : 0;
}
