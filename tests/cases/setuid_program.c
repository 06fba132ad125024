/*
 * The dynamic linker ignores LD_PRELOAD for a setuid program: one line says so, and it runs.
 *
 * BUILD: once
 * RUN:    cp $CASE other; chown nobody other; chmod u+s,a+rx . other; coroner run ./other
 * NEEDS:  test $(id -u) = 0 # only root can make a program setuid to somebody else
 * NEEDS:  ! findmnt -no OPTIONS -T . | grep -q nosuid # the temporary directory is mounted nosuid
 * EXPECT: stdout       ran as another user
 * EXPECT: stderr       /setuid/
 * EXPECT: stderr-lines 1
 * EXPECT: exit         status=8
 */
#include "case.h"

int main(void)
{
    puts(geteuid() != getuid() ? "ran as another user" : "ran as its caller");
    return 8;
}
