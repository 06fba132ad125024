/*
 * A heap to check: blocks of 16 to 256 bytes, 96 on average, that point to each other at random;
 * ten million of them, 1 GB, if no other number is asked for.  What is measured is in Coroner's
 * report: check_s and check_pause_s.
 *
 *     live [COUNT]   all can be reached from one global
 *     lost [COUNT]   none can: all are leaked, and most lie in cycles
 *
 * Each block has two pointers, wherever in it, among noise.  Half of all pointers lead on to blocks
 * that nothing led to so far, so that none is left out; the others lead anywhere.
 */
#include "bench.h"

#include <string.h>
#include <sys/mman.h>

enum { WORDS_MIN = 2, WORDS_MAX = 32, POINTERS = 2 };

struct node {
    uint64_t *block;
    void **pointers[POINTERS]; /* in it */
};

static void *volatile first; /* volatile: a store that nobody reads is a store */

/* Memory that is not there any more when the check runs. */
static void *table_make(size_t bytes)
{
    void *table =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(table != MAP_FAILED);
    return table;
}

static struct node node_make(uint64_t *dice)
{
    uint32_t one = roll_below(dice, WORDS_MAX - WORDS_MIN + 1);
    uint32_t other = roll_below(dice, WORDS_MAX - WORDS_MIN + 1);
    uint32_t words = WORDS_MIN + (one < other ? one : other);
    uint64_t *block = malloc(words * sizeof *block);
    REQUIRE(block != NULL);
    for (uint32_t i = 0; i < words; i++)
        block[i] = (uint64_t)roll(dice) << 32 | roll(dice);
    uint32_t at = roll_below(dice, words);
    uint32_t later = (at + 1 + roll_below(dice, words - 1)) % words;
    return (struct node){block, {(void **)&block[at], (void **)&block[later]}};
}

/* Links all nodes, in the order in which they lie in the table. */
static void nodes_link(const struct node *nodes, uint32_t count, uint64_t *dice)
{
    size_t open_bytes = (size_t)count * POINTERS * sizeof(void **);
    void ***open = table_make(open_bytes); /* pointers of nodes that are linked, still unused */
    uint32_t open_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            uint32_t at = roll_below(dice, open_count);
            *open[at] = nodes[i].block;
            open[at] = open[--open_count];
        }
        for (unsigned k = 0; k < POINTERS; k++)
            open[open_count++] = nodes[i].pointers[k];
    }
    while (open_count > 0)
        *open[--open_count] = nodes[roll_below(dice, count)].block;
    munmap(open, open_bytes);
}

int main(int argc, char **argv)
{
    int is_lost = argc > 1 && strcmp(argv[1], "lost") == 0;
    uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 10000000;
    uint64_t dice = 88172645463325252u;
    double began = now_ns();
    struct node *nodes = table_make(count * sizeof *nodes);
    for (uint32_t i = 0; i < count; i++)
        nodes[i] = node_make(&dice);
    for (uint32_t i = count - 1; i > 0; i--) {
        uint32_t other = roll_below(&dice, i + 1);
        struct node node = nodes[i];
        nodes[i] = nodes[other];
        nodes[other] = node;
    }
    nodes_link(nodes, count, &dice);
    first = is_lost ? NULL : nodes[0].block;
    munmap(nodes, count * sizeof *nodes);
    printf("random_graph_build %.3f s\n", (now_ns() - began) / 1e9);
    return 0;
}
