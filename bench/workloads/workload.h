#ifndef WORKLOAD_H
#define WORKLOAD_H
/*
 * What the workloads share: how long to work, and what a block is for.
 *
 * Unlike the programs of the folder above, which measure one operation by their own clock, a
 * workload is timed from outside.  It uses its blocks as programs do: writes them when they are
 * made, reads them before they go, and prints a sum of what it read, the same in every run.
 */
#include "../bench.h"

#include <string.h>

/* The part of `count` that the first argument asks for, in percent; all of it without one. */
static inline size_t scaled(int argc, char **argv, size_t count)
{
    return argc > 1 ? count * strtoul(argv[1], NULL, 10) / 100 : count;
}

/* Writes all of a block.  `bytes` is at least 8 here and below. */
static inline void block_fill(void *block, size_t bytes, uint64_t seed)
{
    uint64_t word = seed * 0x9e3779b97f4a7c15u;
    for (size_t at = 0; at + sizeof word <= bytes; at += sizeof word) {
        memcpy((char *)block + at, &word, sizeof word);
        word += seed;
    }
}

/* Reads all of a block. */
static inline uint64_t block_sum(const void *block, size_t bytes)
{
    uint64_t sum = 0, word;
    for (size_t at = 0; at + sizeof word <= bytes; at += sizeof word) {
        memcpy(&word, (const char *)block + at, sizeof word);
        sum += word;
    }
    return sum;
}

static inline void sum_print(const char *name, uint64_t sum)
{
    printf("%s %016llx\n", name, (unsigned long long)sum);
}

#endif
