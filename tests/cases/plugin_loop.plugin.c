/* The plugin of plugin_loop.c: it keeps its state in a global and frees it when unloaded. */
#include "case.h"

void plugin_work(int forget);

GLOBAL char *state;
GLOBAL int forgets;

NOINLINE static char *plugin_state_new(void)
{
    char *fresh = malloc(64);
    fill(fresh, 64);
    return fresh;
}

void plugin_work(int forget)
{
    forgets = forget;
    state = plugin_state_new();
    for (size_t bytes = 8; bytes < 800; bytes += 8) {
        char *scratch = malloc(bytes);
        fill(scratch, bytes);
        free(scratch);
    }
}

__attribute__((destructor)) static void plugin_unload(void)
{
    if (!forgets)
        free(state);
}
