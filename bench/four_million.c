/*
 * A heap to check: four million live blocks of 64 bytes, 256 MB, and then the end.  What is
 * measured is in Coroner's report: check_s and check_pause_s.  The argument says how the blocks
 * hold each other, which decides how far the marker can look ahead:
 *
 *     order   a list in order of allocation: each block is beside the one before
 *     tree    a binary tree over shuffled blocks: every step is a cache miss, many at a time
 *     list    a list of shuffled blocks: every step is a cache miss, one at a time
 *     lost    the tree, with nothing that leads to its top: four million leaked blocks
 *
 * It prints the time it took to build, for those who run it alone.
 */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

enum { BLOCKS = 4000000 };

struct block {
    struct block *left, *right;
    char rest[48];
};

static struct block *volatile first; /* volatile: a store that nobody reads is a store */

/* All blocks, in an order of our choice; the table is not there any more when the check runs. */
static struct block **blocks_make(int is_shuffled)
{
    uint64_t dice = 88172645463325252u;
    struct block **blocks = mmap(NULL, BLOCKS * sizeof *blocks, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(blocks != MAP_FAILED);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        REQUIRE((blocks[i] = malloc(sizeof *blocks[i])) != NULL);
        memset(blocks[i], 0, sizeof *blocks[i]);
    }
    for (uint32_t i = BLOCKS - 1; is_shuffled && i > 0; i--) {
        uint32_t other = roll_below(&dice, i + 1);
        struct block *block = blocks[i];
        blocks[i] = blocks[other];
        blocks[other] = block;
    }
    return blocks;
}

int main(int argc, char **argv)
{
    const char *shape = argc > 1 ? argv[1] : "tree";
    int is_lost = strcmp(shape, "lost") == 0;
    int is_tree = is_lost || strcmp(shape, "tree") == 0;
    double began = now_ns();
    struct block **blocks = blocks_make(strcmp(shape, "order") != 0);
    for (size_t i = 0; i < BLOCKS; i++) {
        size_t left = is_tree ? 2 * i + 1 : i + 1;
        size_t right = is_tree ? 2 * i + 2 : BLOCKS;
        blocks[i]->left = left < BLOCKS ? blocks[left] : NULL;
        blocks[i]->right = right < BLOCKS ? blocks[right] : NULL;
    }
    first = is_lost ? NULL : blocks[0];
    munmap(blocks, BLOCKS * sizeof *blocks);
    printf("four_million_%s_build %.3f s\n", shape, (now_ns() - began) / 1e9);
    return 0;
}
