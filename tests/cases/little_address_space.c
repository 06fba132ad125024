/*
 * With 2 GB of address space Coroner says the same as with plenty, also
 * when the machine promises no memory it has not got (overcommit_memory=2), fork included.
 *
 * RUN:    ulimit -v 2000000; coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    ulimit -v 2000000; coroner run --format=json --output=report.json $CASE twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    was=$(cat /proc/sys/vm/overcommit_memory); \
 *         trap 'echo $was >/proc/sys/vm/overcommit_memory' EXIT; trap exit TERM INT HUP; \
 *         echo 2 >/proc/sys/vm/overcommit_memory; \
 *         coroner run --format=json --output=report.json $CASE
 * NEEDS:  test -w /proc/sys/vm/overcommit_memory # overcommit_memory cannot be set here
 * NEEDS:  ! grep -q '^CommitLimit: *[0-9]\{1,6\} kB' /proc/meminfo # less than 1 GB to promise
 * ALONE:
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * With hardly any, too.
 *
 * RUN:    (ulimit -v 60000; LD_PRELOAD=$SHIM $CASE)
 * EXPECT: stderr     /leaked 456 bytes in 1 block/
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <sys/wait.h>

GLOBAL char *kept;

NOINLINE static char *make_plan(void)
{
    char *plan = malloc(456);
    fill(plan, 456);
    return plan;
}

NOINLINE static void run(bool twin)
{
    char *plan = make_plan();
    if (twin)
        kept = plan;
    for (int i = 0; i < 10; i++) {
        pid_t child = fork();
        REQUIRE(child >= 0);
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    run(said(argv, "twin"));
    wipe();
    return 0;
}
