/*
 * One dlopen and one dlclose of a library that nobody else uses, in a program with as many mappings
 * as the argument says: guarded stacks, a plugin host.  Processor time.
 */
#include "growth.h"

#include <dlfcn.h>
#include <sys/mman.h>

enum { PAGE = 4096, ROUNDS = 20 };

static void load(void)
{
    void *library = dlopen("libz.so.1", RTLD_NOW);
    REQUIRE(library != NULL);
    REQUIRE(dlclose(library) == 0);
}

int main(int argc, char **argv)
{
    int mappings = argc > 1 ? atoi(argv[1]) : 10;
    for (int i = 0; i < mappings / 2; i++) {
        char *pair =
            mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        REQUIRE(pair != MAP_FAILED && mprotect(pair, PAGE, PROT_NONE) == 0);
    }
    load();
    double began = cpu_ms();
    for (int i = 0; i < ROUNDS; i++)
        load();
    printf("loads %.4f ms\n", (cpu_ms() - began) / ROUNDS);
    return 0;
}
