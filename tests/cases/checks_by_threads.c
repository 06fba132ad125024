/*
 * Thousands of short threads each ask for a check that finds something.  What is kept of a check for
 * the thread that asked goes with its record to the next thread, which has no results of its own
 * yet: memory does not grow with the number of threads that there were.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: lost       blocks=1 bytes=444 allocated_in=lose
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <coroner/coroner.h>
#include <pthread.h>

enum { THREADS = 600, LIMIT_BYTES = 1 << 20 };

/* The size of the process, in bytes. */
static size_t size_get(void)
{
    size_t pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL && fscanf(file, "%zu", &pages) == 1);
    fclose(file);
    return pages * 4096;
}

NOINLINE static void lose(void)
{
    char *block = malloc(444);
    fill(block, 444);
}

static void *ask(void *unused)
{
    struct coroner_summary summary;
    struct coroner_finding finding;
    REQUIRE(!coroner_finding_get(0, &finding));
    REQUIRE(coroner_check(0, &summary) == 1 && summary.leaked_bytes == 444);
    REQUIRE(coroner_finding_get(0, &finding));
    return unused;
}

static void threads_run(int count)
{
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        REQUIRE(pthread_create(&thread, NULL, ask, NULL) == 0);
        REQUIRE(pthread_join(thread, NULL) == 0);
    }
}

int main(void)
{
    lose();
    wipe();
    if (!coroner_active())
        return 0;
    threads_run(20);
    size_t before = size_get();
    threads_run(THREADS);
    REQUIRE(size_get() < before + LIMIT_BYTES);
    wipe();
    return 0;
}
