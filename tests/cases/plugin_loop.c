/*
 * A plugin is loaded, used and unloaded two hundred times.  It frees its state when it is
 * unloaded: nothing to report.  Told to forget, it leaves its state to nobody once its globals are
 * gone; the report still names the function, in a module that is no longer there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so forget
 * EXPECT: lost       total_blocks=200 total_bytes=12800 allocated_in=plugin_state_new
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <dlfcn.h>

NOINLINE static void use(const char *path, bool forget)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    REQUIRE(plugin != NULL);
    void (*work)(int) = (void (*)(int))dlsym(plugin, "plugin_work");
    REQUIRE(work != NULL);
    work(forget);
    REQUIRE(dlclose(plugin) == 0);
    REQUIRE(dlopen(path, RTLD_NOW | RTLD_NOLOAD) == NULL); /* really gone */
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    for (int i = 0; i < 200; i++)
        use(argv[1], said(argv, "forget"));
    wipe();
    return 0;
}
