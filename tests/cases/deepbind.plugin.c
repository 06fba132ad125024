/* The plugin of deepbind.c. */
#include "case.h"

void plugin_free(void *block);
char *plugin_allocate(size_t bytes);

void plugin_free(void *block)
{
    free(block);
}

char *plugin_allocate(size_t bytes)
{
    char *block = malloc(bytes);
    fill(block, bytes);
    return block;
}
