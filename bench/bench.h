#ifndef BENCH_H
#define BENCH_H
/*
 * What the programs share: a clock, dice, and one way to measure.
 *
 * A program measures one operation and prints one line, `name value unit`.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef __clang__
#define NOINLINE __attribute__((noinline))
#else
#define NOINLINE __attribute__((noinline, noclone, noipa))
#endif

/* Ends the program with one line that names the broken promise. */
#define REQUIRE(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(99);                                                               \
        }                                                                           \
    } while (0)

/* Keeps the compiler from dropping an allocation, or from knowing what is in it. */
#define OPAQUE(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")

static inline double now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The most memory that was ever resident in this process. */
static inline double peak_rss_mib(void)
{
    char line[256];
    double kib = 0;
    FILE *status = fopen("/proc/self/status", "r");
    REQUIRE(status != NULL);
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmHWM:", 6) == 0)
            kib = strtod(line + 6, NULL);
    fclose(status);
    return kib / 1024;
}

/* Dice that cost a nanosecond and fall the same way in every run (xorshift64*). */
static inline uint32_t roll(uint64_t *dice)
{
    *dice ^= *dice >> 12;
    *dice ^= *dice << 25;
    *dice ^= *dice >> 27;
    return (uint32_t)((*dice * 0x2545f4914f6cdd1du) >> 32);
}

/* A number below `limit`. */
static inline uint32_t roll_below(uint64_t *dice, uint32_t limit)
{
    return (uint32_t)((uint64_t)roll(dice) * limit >> 32);
}

/*
 * Calls operation(warm_up) unmeasured, then five times operation(count), and prints the median of
 * the time one of the `count` took.
 */
static inline void measure(const char *name, void (*operation)(size_t count), size_t warm_up,
                           size_t count)
{
    enum { ROUNDS = 5 };
    double took[ROUNDS];
    operation(warm_up);
    for (int i = 0; i < ROUNDS; i++) {
        double began = now_ns(), one;
        operation(count);
        one = (now_ns() - began) / (double)count;
        int at = i;
        for (; at > 0 && took[at - 1] > one; at--)
            took[at] = took[at - 1];
        took[at] = one;
    }
    printf("%s %.2f ns\n", name, took[ROUNDS / 2]);
}

#endif
