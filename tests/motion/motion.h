#ifndef MOTION_H
#define MOTION_H
/*
 * What the programs of the motion soak share.
 *
 * Each is a correct program that never stands still, with a few leaks of its own making:
 * LOST_COUNT blocks of LOST_BYTES, spread over its time.  A thread checks every few milliseconds
 * and compares: a check that calls more blocks proven than were lost is wrong.  A program says what
 * it did in one line that does not depend on time, so that a run without Coroner prints the same.
 */
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MOTION_LOST_COUNT = 8, MOTION_LOST_BYTES = 77 };

#if defined(__clang__)
#define MOTION_NOINLINE __attribute__((noinline))
#else
#define MOTION_NOINLINE __attribute__((noinline, noclone, noipa))
#endif

/* Fails the program with one line that names the broken promise. */
#define MOTION_REQUIRE(condition)                          \
    do {                                                   \
        if (!(condition))                                  \
            motion_broken(__FILE__, __LINE__, #condition); \
    } while (0)
__attribute__((noreturn)) void motion_broken(const char *file, int line, const char *condition);

/* Takes `PROGRAM SECONDS` apart and starts the thread that checks. */
void motion_begin(int argc, char **argv);

/* Whether there is time left.  The main thread calls it again and again: it loses the blocks. */
bool motion_goes_on(void);

/* For other threads: whether there is time left. */
bool motion_is_on(void);

/* Ends the checks, prints the line of the result, and answers the exit status. */
int motion_end(const char *result);

/* A random number in [0, bound), from a state of the caller's (splitmix64, Sebastiano Vigna). */
unsigned motion_random(unsigned long *state, unsigned bound);

/* Overwrites the dead stack below the caller. */
void motion_wipe(void);

#ifdef __cplusplus
}
#endif
#endif
