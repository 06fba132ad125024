/*
 * The clock, the leaks and the checks of the motion soak.  See motion.h.
 */
#include "motion.h"

#include <coroner/coroner.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { CHECK_EVERY_NS = 5000000 };

static const char *name;
static double began, ends;
static atomic_int lost_begun, lost_done, wrong;
static atomic_bool is_over;
static pthread_t checker;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

__attribute__((noreturn)) void motion_broken(const char *file, int line, const char *condition)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, condition);
    fflush(NULL);
    _Exit(99);
}

unsigned motion_random(unsigned long *state, unsigned bound)
{
    unsigned long value = (*state += 0x9e3779b97f4a7c15u);
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return (unsigned)((value ^ value >> 31) >> 33) % bound;
}

MOTION_NOINLINE void motion_wipe(void)
{
    char area[1 << 14];
    memset(area, 0, sizeof area);
    __asm__ volatile("" : : "r"(area) : "memory");
}

/* What a check said that it should not have said. */
static void complain(const struct coroner_summary *summary, int most)
{
    struct coroner_finding finding;
    fprintf(stderr, "%s: a check calls %zu blocks proven, of %d that were lost\n", name,
            summary->leaked_blocks - summary->likely_blocks, most);
    for (size_t i = 0; coroner_finding_get(i, &finding); i++)
        fprintf(stderr, "%s:   %s %s, %zu blocks, %zu bytes, one at %p: %s\n", name,
                finding.is_proven ? "proven" : "likely",
                finding.verdict != NULL ? finding.verdict : "finding", finding.blocks,
                finding.bytes, finding.address, finding.why != NULL ? finding.why : "");
}

static void *check_again_and_again(void *unused)
{
    const struct timespec pause = {0, CHECK_EVERY_NS};
    while (!is_over) {
        struct coroner_summary summary;
        memset(&summary, 0, sizeof summary);
        coroner_check(CORONER_SILENT, &summary);
        int most = lost_begun;
        if ((int)(summary.leaked_blocks - summary.likely_blocks) > most) {
            if (wrong++ < 3)
                complain(&summary, most);
        }
        nanosleep(&pause, NULL);
    }
    return unused;
}

MOTION_NOINLINE static void lose_one(void)
{
    char *block = malloc(MOTION_LOST_BYTES);
    memset(block, 'x', MOTION_LOST_BYTES);
    __asm__ volatile("" : : "r"(block) : "memory");
}

void motion_begin(int argc, char **argv)
{
    name = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    began = now();
    ends = began + (argc > 1 ? atof(argv[1]) : 1.0);
    MOTION_REQUIRE(pthread_create(&checker, NULL, check_again_and_again, NULL) == 0);
}

bool motion_is_on(void)
{
    return now() < ends;
}

bool motion_goes_on(void)
{
    double share = (now() - began) / (ends - began);
    while (lost_done < MOTION_LOST_COUNT && share > (lost_done + 0.5) / MOTION_LOST_COUNT) {
        lost_begun++;
        lose_one();
        motion_wipe();
        lost_done++;
    }
    return share < 1;
}

int motion_end(const char *result)
{
    is_over = true;
    pthread_join(checker, NULL);
    MOTION_REQUIRE(lost_done == MOTION_LOST_COUNT);
    printf("%s: %s, %d lost\n", name, result, (int)lost_done);
    fflush(stdout);
    return wrong != 0;
}
