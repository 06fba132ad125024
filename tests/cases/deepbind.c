/*
 * A plugin loaded with RTLD_DEEPBIND would find libc's malloc before ours.  It frees what the
 * program allocated, and the program frees what it allocated.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so lose
 * EXPECT: lost       blocks=1 bytes=350 allocated_in=plugin_allocate
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <dlfcn.h>

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    REQUIRE(plugin != NULL);
    void (*plugin_free)(void *) = (void (*)(void *))dlsym(plugin, "plugin_free");
    char *(*plugin_allocate)(size_t) = (char *(*)(size_t))dlsym(plugin, "plugin_allocate");
    REQUIRE(plugin_free != NULL && plugin_allocate != NULL);
    for (size_t bytes = 1; bytes < 1000000; bytes = bytes * 2 + 1) {
        char *block = malloc(bytes);
        fill(block, bytes);
        plugin_free(block);
        block = plugin_allocate(bytes);
        block = realloc(block, bytes * 2);
        free(block);
    }
    if (said(argv, "lose"))
        fill(plugin_allocate(350), 350);
    wipe();
    return 0;
}
