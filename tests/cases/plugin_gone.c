/*
 * A plugin has lost something and is unloaded: the report names its function by the file that it was
 * loaded from, also when that was named from a folder that is not the current one any more, through
 * a link, or loaded into a namespace of its own.  Where the file is gone before, another one lies in
 * its place or there are many mappings, the leak is told all the same.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so
 * EXPECT: lost       blocks=1 bytes=888 allocated_in=plugin_lose
 * EXPECT: exit       status=23
 *
 * RUN:    mkdir d; cp $CASE.plugin.so d/p.so; ln -s d/p.so l.so; \
 *         coroner run --format=json --output=report.json $CASE ./l.so moves; \
 *         x=$?; grep -q '/d/p.so"' report.json && exit $x
 * EXPECT: lost       blocks=1 bytes=888 allocated_in=plugin_lose
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so apart
 * EXPECT: lost       blocks=1 bytes=888 allocated_in=plugin_lose
 * EXPECT: exit       status=23
 *
 * RUN:    cp $CASE.plugin.so p.so; \
 *         coroner run --format=json --output=report.json $CASE ./p.so removes
 * EXPECT: lost       blocks=1 bytes=888
 * EXPECT: exit       status=23
 *
 * RUN:    cp $CASE.plugin.so p.so; \
 *         coroner run --format=json --output=report.json $CASE ./p.so replaces
 * EXPECT: lost       blocks=1 bytes=888
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>

static void file_replace(const char *path)
{
    REQUIRE(unlink(path) == 0);
    int fd = open(path, O_CREAT | O_WRONLY, 0644);
    REQUIRE(fd >= 0 && ftruncate(fd, 100000) == 0 && close(fd) == 0);
}

NOINLINE static void use(char **arguments)
{
    void *plugin = said(arguments, "apart") ? dlmopen(LM_ID_NEWLM, arguments[1], RTLD_NOW)
                                            : dlopen(arguments[1], RTLD_NOW);
    REQUIRE(plugin != NULL);
    void (*lose)(void *(*)(size_t)) = (void (*)(void *(*)(size_t)))dlsym(plugin, "plugin_lose");
    REQUIRE(lose != NULL);
    lose(malloc);
    if (said(arguments, "moves"))
        REQUIRE(mkdir("elsewhere", 0755) == 0 && chdir("elsewhere") == 0);
    if (said(arguments, "removes"))
        REQUIRE(unlink(arguments[1]) == 0);
    if (said(arguments, "replaces"))
        file_replace(arguments[1]);
    REQUIRE(dlclose(plugin) == 0);
}

int main(int argc, char **argv)
{
    REQUIRE(argc >= 2);
    use(argv);
    wipe();
    return 0;
}
