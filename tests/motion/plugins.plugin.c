/*
 * The plugin of plugins.c: it keeps blocks in its globals and in a thread-local variable while it
 * is loaded, and frees them when it goes.
 */
#include <stdlib.h>
#include <string.h>

enum { KEPT = 30 };

static char *kept[KEPT];
static __thread char *own;

int plugin_work(int turn);
int plugin_work(int turn)
{
    int at = turn % KEPT;
    kept[at] = realloc(kept[at], 16 + (size_t)turn % 700);
    memset(kept[at], turn % 120, 16);
    own = realloc(own, 48);
    own[0] = (char)(turn % 120);
    return kept[at][15] == own[0];
}

void plugin_thread_end(void);
void plugin_thread_end(void)
{
    free(own);
    own = NULL;
}

__attribute__((destructor)) static void unload(void)
{
    for (int i = 0; i < KEPT; i++)
        free(kept[i]);
}
