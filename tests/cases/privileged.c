/*
 * A program that is linked with the shim and has more rights than its user is not steered by him:
 * no variable of his counts, nothing is written, nothing started, and what it executes learns
 * nothing of them either.
 *
 * BUILD: linked
 * BUILD: once
 * RUN:    mkdir -m 777 all; chmod a+rx .; cp $CASE ./it; chmod 4755 it; mkdir -m 700 own; \
 *         printf '#!/bin/bash -p\nid >>%s/all/who\n' $PWD >mine; chmod 755 mine; \
 *         run() { env -i setpriv --reuid=65534 --regid=65534 --clear-groups env "$@" ./it; }; \
 *         run CORONER_LAUNCHER=$PWD/mine; run CORONER_OPTIONS=output=$PWD/own/r:record=$PWD/own/k; \
 *         run LSAN_OPTIONS=log_path=$PWD/own/log CORONER_SESSION=$PWD/own; \
 *         run TMPDIR=$PWD/own CORONER_OPTIONS=nonsense=1; ls own all
 * NEEDS:  test $(id -u) = 0 # only root can make a program setuid and become somebody else
 * NEEDS:  ! findmnt -no OPTIONS -T . | grep -q nosuid # the temporary directory is mounted nosuid
 * NEEDS:  setpriv --reuid=65534 --regid=65534 --clear-groups ldd $CASE # nobody may not read the build
 * EXPECT: stdout       /^(0 knows nothing\n){4}all:\n\nown:\n$/
 * EXPECT: stderr       /^(coroner: the program cannot be watched: it has more rights .*\n){4}$/
 *
 * RUN:    chmod a+rx .; cp $CASE ./it; setcap cap_net_raw+ep it; \
 *         setpriv --reuid=65534 --regid=65534 --clear-groups \
 *         env CORONER_OPTIONS=output=/dev/stdout ./it
 * NEEDS:  test $(id -u) = 0 # only root can give a file capabilities
 * NEEDS:  command -v setcap # no setcap here
 * NEEDS:  ! findmnt -no OPTIONS -T . | grep -q nosuid # the temporary directory is mounted nosuid
 * NEEDS:  setpriv --reuid=65534 --regid=65534 --clear-groups ldd $CASE # nobody may not read the build
 * EXPECT: stdout       65534 knows nothing
 * EXPECT: stderr-lines 1
 *
 * RUN:    CORONER_OPTIONS=format=json:output=report.json $CASE
 * EXPECT: lost         blocks=1 bytes=365 allocated_in=make_secret
 * EXPECT: stdout       /knows CORONER_OPTIONS/
 * EXPECT: exit         status=23
 */
#include "case.h"

GLOBAL char *kept;

NOINLINE static char *make_secret(void)
{
    char *secret = malloc(365);
    fill(secret, 365);
    return secret;
}

int main(void)
{
    const char *known = "nothing";
    kept = make_secret();
    kept = NULL;
    for (char **each = environ; *each != NULL; each++)
        if (strncmp(*each, "CORONER_OPTIONS", 15) == 0)
            known = "CORONER_OPTIONS";
    printf("%d knows %s\n", (int)geteuid(), known);
    fflush(stdout);
    wipe();
    return 0;
}
