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

/* The allocation whose stack is compared. */
#define ALLOCATE()                 \
    do {                           \
        void *block_ = malloc(24); \
        USE(block_);               \
        free(block_);              \
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
