/* The plugin of plugin_thread_local.c: it keeps a block in a thread-local variable. */
#include "case.h"

void plugin_hold(int let_go);

GLOBAL __thread char *held;
static __thread char room[8192]; /* too much for the spare static TLS */

void plugin_hold(int let_go)
{
    held = malloc(333);
    fill(held, 333);
    fill(room, sizeof room);
    if (let_go)
        held = NULL;
}
