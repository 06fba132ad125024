/*
 * Memory for the stacks of a recursive tree builder: 2^20 blocks of 48 bytes, each made 60 call
 * frames deep by a stack that no other block has, of which neighbours share all but the innermost
 * frames.  The most that was resident when all are made and written.
 */
#include "bench.h"

enum { DEPTH = 60, LEVELS = 20, BYTES = 48 };

struct leaf {
    struct leaf *next;
    uint64_t path[BYTES / sizeof(uint64_t) - 1];
};

static struct leaf *volatile leaves; /* volatile: alive until the end */

NOINLINE static void leaf_make(uint64_t path)
{
    struct leaf *leaf = malloc(sizeof *leaf);
    REQUIRE(leaf != NULL);
    for (size_t i = 0; i < sizeof leaf->path / sizeof leaf->path[0]; i++)
        leaf->path[i] = path;
    leaf->next = leaves;
    leaves = leaf;
}

/* Left and right are calls of their own. */
NOINLINE static void tree_make(unsigned levels, uint64_t path)
{
    if (levels == 0) {
        leaf_make(path);
    } else {
        tree_make(levels - 1, path << 1);
        tree_make(levels - 1, path << 1 | 1);
    }
    __asm__ volatile("" : : "r"(path)); /* no tail call */
}

/* The frames that all share. */
NOINLINE static void descend(unsigned frames)
{
    if (frames == 0)
        tree_make(LEVELS, 1);
    else
        descend(frames - 1);
    __asm__ volatile("" : : "r"(frames));
}

int main(void)
{
    descend(DEPTH - LEVELS - 4);
    printf("distinct_stacks %.1f MiB\n", peak_rss_mib());
    return 0;
}
