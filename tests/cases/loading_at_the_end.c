/*
 * The end begins while another thread is inside dlopen and holds the loader's lock, which whoever
 * asks the loader for its modules takes too.  The check does not wait for it.  exit() itself does:
 * the loader's own end takes the lock.  _exit does not.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=123 allocated_in=lose
 * EXPECT: stdout     /^loading\n$/
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE at_once
 * EXPECT: lost       blocks=1 bytes=123 allocated_in=lose
 * EXPECT: stdout     /^loading\n$/
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE term; echo $?
 * EXPECT: lost       blocks=1 bytes=123 allocated_in=lose
 * EXPECT: stdout     /^loading\n23\n$/
 */
#include "case.h"

#include <dlfcn.h>
#include <pthread.h>

static char path[4096];

NOINLINE static void lose(void)
{
    fill(malloc(123), 123);
}

static void *load(void *unused)
{
    dlopen(path, RTLD_NOW);
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    (void)argc;
    snprintf(path, sizeof path, "%s.plugin.so", argv[0]);
    lose();
    wipe();
    REQUIRE(pthread_create(&thread, NULL, load, NULL) == 0);
    usleep(200000);
    if (said(argv, "at_once"))
        _exit(0);
    if (said(argv, "term"))
        raise(SIGTERM);
    return 0;
}
