/*
 * A thread-local variable of a plugin that was loaded while the thread ran is the only holder: its
 * storage is a heap block of ld.so, which only the thread's own tables lead to.  Live; let go,
 * lost.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so let-go
 * EXPECT: lost       blocks=1 bytes=333 allocated_in=plugin_hold
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <dlfcn.h>
#include <pthread.h>

GLOBAL pthread_barrier_t ready, loaded;
static void (*plugin_hold)(int);
GLOBAL bool lets_go;

static void *sit(void *unused)
{
    pthread_barrier_wait(&ready);
    pthread_barrier_wait(&loaded);
    plugin_hold(lets_go);
    wipe();
    pthread_barrier_wait(&ready);
    for (;;)
        pause();
    return unused;
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    pthread_t thread;
    lets_go = said(argv, "let-go");
    pthread_barrier_init(&ready, NULL, 2);
    pthread_barrier_init(&loaded, NULL, 2);
    REQUIRE(pthread_create(&thread, NULL, sit, NULL) == 0);
    pthread_barrier_wait(&ready);
    void *plugin = dlopen(argv[1], RTLD_NOW);
    REQUIRE(plugin != NULL);
    plugin_hold = (void (*)(int))dlsym(plugin, "plugin_hold");
    REQUIRE(plugin_hold != NULL);
    pthread_barrier_wait(&loaded);
    pthread_barrier_wait(&ready);
    wipe();
    return 0;
}
