/* The plugin of plugin_gone.c: loses what the given function allocates. */
#include "case.h"

void plugin_lose(void *(*allocate)(size_t));

NOINLINE void plugin_lose(void *(*allocate)(size_t))
{
    char *block = allocate(888);
    fill(block, 888);
    __asm__ volatile("" : : : "memory");
}
