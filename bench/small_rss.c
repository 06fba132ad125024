/*
 * Memory for 256 MB of 64-byte blocks, all written: the most that was ever resident.  The check at
 * the end comes after this figure.
 */
#include "bench.h"

#include <string.h>

enum { BLOCKS = 4000000, BYTES = 64 };

struct block {
    struct block *next;
    char rest[BYTES - sizeof(struct block *)];
};

static struct block *volatile blocks; /* volatile: they are alive until the end */

int main(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        struct block *block = malloc(sizeof *block);
        REQUIRE(block != NULL);
        memset(block->rest, 0, sizeof block->rest);
        block->next = blocks;
        blocks = block;
    }
    printf("small_rss %.1f MiB\n", peak_rss_mib());
    return 0;
}
