/*
 * Memory that the program carves up itself: a stack nobody told us of lies in one mapping with
 * the only pointer to a block, which is below it; or that pointer lies right behind the .bss of
 * jemalloc, where the kernel makes one mapping of both.  Live, both.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE stack
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE behind
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ARENA_BYTES = 1 << 20 };

static void on_stack(void)
{
    void *volatile block = malloc(10);
    free(block);
    exit(0);
}

NOINLINE static void hold(char **arena)
{
    arena[8] = malloc(777);
    fill(arena[8], 777);
}

/* Where jemalloc's .bss ends: the mapping behind its last one. */
static void *jemalloc_end(void)
{
    char line[512];
    unsigned long start, end = 0;
    bool is_next = false;
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps != NULL && fgets(line, sizeof line, maps) != NULL) {
        bool is_jemalloc = strstr(line, "libjemalloc") != NULL;
        if ((is_jemalloc || is_next) && sscanf(line, "%lx-%lx", &start, &end) != 2)
            return NULL;
        if (is_next && !is_jemalloc)
            break;
        is_next = is_jemalloc;
    }
    if (maps != NULL)
        fclose(maps);
    return (void *)end;
}

int main(int count, char **arguments)
{
    (void)count;
    bool is_behind = said(arguments, "behind");
    char *arena = mmap(is_behind ? jemalloc_end() : NULL, is_behind ? 4096 : ARENA_BYTES,
                       PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | (is_behind ? MAP_FIXED_NOREPLACE : 0), -1, 0);
    if (arena == MAP_FAILED)
        return 0; /* something else lies there */
    hold((char **)(void *)arena);
    wipe();
    if (!is_behind)
        __asm__ volatile("mov %0, %%rsp\n\txor %%ebp, %%ebp\n\tcall *%1"
                         :
                         : "r"(arena + ARENA_BYTES), "r"(on_stack)
                         : "memory");
    return 0;
}
