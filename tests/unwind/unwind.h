/*
 * What the programs of this folder share.  Each makes stacks of one kind and allocates on them;
 * tests/unwind_programs.py runs them with every stack compared.
 */
#ifndef UNWIND_H
#define UNWIND_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define NOINLINE __attribute__((noinline))

/* Something to do after a call, so that it is no tail call. */
#define NO_TAIL_CALL() __asm__ volatile("" ::: "memory")
#define USE(memory) __asm__ volatile("" ::"r"(memory) : "memory")

#define REQUIRE(condition)                                                          \
    do                                                                              \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(99);                                                               \
        }                                                                           \
    while (0)

/* In each of the ways there are, by turns: some of them go on to another function of the shim's. */
static inline __attribute__((always_inline)) void *allocate_in_turn(unsigned turn)
{
    void *block = NULL;
    switch (turn % 12) {
    case 0:
        return calloc(3, 8);
    case 1:
        return realloc(NULL, 24);
    case 2:
        return realloc(malloc(8), 5000);
    case 3:
        return reallocarray(NULL, 3, 8);
    case 4:
        return aligned_alloc(64, 64);
    case 5:
        return posix_memalign(&block, 32, 24) == 0 ? block : NULL;
    default:
        return malloc(24);
    }
}

static unsigned allocation_turn;

/* The allocation whose stack is compared. */
#define ALLOCATE()                                          \
    do {                                                    \
        void *block_ = allocate_in_turn(allocation_turn++); \
        USE(block_);                                        \
        free(block_);                                       \
    } while (0)

static uint64_t random_state = 0x9e3779b97f4a7c15;

/* Marsaglia, "Xorshift RNGs". */
__attribute__((unused)) static unsigned random_below(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 32) % limit;
}

#endif
