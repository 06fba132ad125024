/*
 * A realloc that appends 16 bytes: 64 buffers grow in turn from nothing to 4 KiB, then start
 * again.  Most calls stay in their size class, some move and copy.
 */
#include "bench.h"

enum { BUFFERS = 64, STEP = 16, FULL = 4096 };

static char *buffers[BUFFERS];
static size_t bytes[BUFFERS];

static void grow(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t at = i % BUFFERS;
        if (bytes[at] >= FULL) {
            free(buffers[at]);
            buffers[at] = NULL;
            bytes[at] = 0;
        }
        bytes[at] += STEP;
        buffers[at] = realloc(buffers[at], bytes[at]);
        REQUIRE(buffers[at] != NULL);
        buffers[at][bytes[at] - STEP] = 1;
    }
}

int main(void)
{
    measure("realloc_growth", grow, 200000, 1000000);
    return 0;
}
