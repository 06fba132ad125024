/*
 * A C program loads a C++ plugin, which throws and catches exceptions through its own frames and
 * through a callback of the program.  Coroner's unwinder must not take the place of theirs.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE $CASE.plugin.so
 * EXPECT: none
 * EXPECT: stdout     caught 200
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <dlfcn.h>

/* Called by the plugin, and left by its exception (the cases are built with unwind tables). */
static void call_back(void (*throw_from_here)(int), int value)
{
    char *volatile block = malloc(50);
    free(block);
    throw_from_here(value);
}

int main(int argc, char **argv)
{
    REQUIRE(argc == 2);
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    REQUIRE(plugin != NULL);
    int (*catch_all)(void (*)(void (*)(int), int)) =
        (int (*)(void (*)(void (*)(int), int)))dlsym(plugin, "catch_all");
    REQUIRE(catch_all != NULL);
    printf("caught %d\n", catch_all(call_back));
    wipe();
    return 0;
}
