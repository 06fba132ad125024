#ifndef GROWTH_H
#define GROWTH_H
/*
 * What these programs share: processor time, which other programs on the machine change little.
 */
#include "../bench.h"

#include <sys/resource.h>

static inline double milliseconds(struct timeval time)
{
    return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

/* Of this process, and of its children that it has waited for. */
static inline double cpu_ms(void)
{
    double sum = 0;
    struct rusage usage;
    static const int whose[] = {RUSAGE_SELF, RUSAGE_CHILDREN};
    for (unsigned i = 0; i < sizeof whose / sizeof whose[0]; i++) {
        getrusage(whose[i], &usage);
        sum += milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    }
    return sum;
}

#endif
