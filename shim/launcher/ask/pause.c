/*
 * Foresees a pause.  See pause.h.
 */
#include "shim/launcher/ask/pause.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shim/launcher/proc.h"

static const uint64_t SMALL = 4096, HUGE_PAGE = (uint64_t)2 << 20;

bool crn_pause_look(const struct crn_target *target, struct crn_pause_facts *facts)
{
    size_t count;
    char *text = crn_proc_read(target->view, "smaps_rollup", &count);
    uint64_t own = crn_proc_number(text, "Anonymous", 10, UINT64_MAX);
    uint64_t huge = crn_proc_number(text, "AnonHugePages", 10, 0);
    uint64_t swapped = crn_proc_number(text, "Swap", 10, 0);
    free(text);
    if (own == UINT64_MAX)
        return false;
    *facts = (struct crn_pause_facts){
        .threads = target->threads,
        .mappings = target->mappings,
        .small_pages = ((own > huge ? own - huge : 0) + swapped) * 1024 / SMALL,
        .huge_pages = huge * 1024 / HUGE_PAGE,
    };
    return true;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* The quickest of a few clones of this process, as its parent sees them, ns. */
static double clone_measure(void)
{
    enum { TRIES = 5 };
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < TRIES; i++) {
        uint64_t before = now_ns();
        long child = syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
        if (child == 0)
            _exit(0);
        uint64_t took = now_ns() - before;
        if (child > 0)
            waitpid((pid_t)child, NULL, 0);
        if (child > 0 && took < best)
            best = took;
    }
    return best == UINT64_MAX ? 0 : (double)best;
}

static char *memory_map(uint64_t bytes, int advice)
{
    char *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED)
        return NULL;
    madvise(start, bytes, advice);
    return start;
}

/* The cost of a small page above that of a clone without it, and so on; `otherwise` where there is
 * none to measure. */
static double per_one(double with, double without, uint64_t count, double otherwise)
{
    return with > without && count > 0 ? (with - without) / (double)count : otherwise;
}

/* Whether the memory is all huge pages: some machines have none, or none left. */
static bool is_huge(const char *start)
{
    char *text, address[40];
    size_t count;
    int self = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    text = self >= 0 ? crn_proc_read(self, "smaps", &count) : NULL;
    snprintf(address, sizeof address, "%lx-", (unsigned long)(uintptr_t)start);
    const char *row = text != NULL ? strstr(text, address) : NULL;
    uint64_t kilobytes = row != NULL ? crn_proc_number(row, "AnonHugePages", 10, 0) : 0;
    free(text);
    if (self >= 0)
        close(self);
    return kilobytes * 1024 >= HUGE_PAGE;
}

static double small_page_measure(double without, double otherwise)
{
    const uint64_t bytes = (uint64_t)16 << 20;
    char *memory = memory_map(bytes, MADV_NOHUGEPAGE);
    if (memory == NULL)
        return otherwise;
    for (uint64_t at = 0; at < bytes; at += SMALL)
        memory[at] = 1;
    double cost = per_one(clone_measure(), without, bytes / SMALL, otherwise);
    munmap(memory, bytes);
    return cost;
}

static double huge_page_measure(double without, double otherwise)
{
    enum { PAGES = 15 };
    const uint64_t bytes = (PAGES + 1) * HUGE_PAGE;
    char *memory = memory_map(bytes, MADV_HUGEPAGE);
    if (memory == NULL)
        return otherwise;
    char *first = memory + (HUGE_PAGE - (uintptr_t)memory % HUGE_PAGE) % HUGE_PAGE;
    for (uint64_t page = 0; page < PAGES; page++)
        first[page * HUGE_PAGE] = 1;
    double cost = is_huge(memory) ? per_one(clone_measure(), without, PAGES, otherwise) : otherwise;
    munmap(memory, bytes);
    return cost;
}

static double mapping_measure(double without, double otherwise)
{
    enum { MAPPINGS = 512 };
    char *memory = memory_map(MAPPINGS * SMALL, MADV_NOHUGEPAGE);
    if (memory == NULL)
        return otherwise;
    for (unsigned i = 0; i < MAPPINGS; i += 2) {
        memory[i * SMALL] = 1; /* without a page of its own it would not be copied */
        mprotect(memory + i * SMALL, SMALL, PROT_READ);
    }
    double cost = per_one(clone_measure(), without, MAPPINGS, otherwise);
    munmap(memory, MAPPINGS * SMALL);
    return cost;
}

struct crn_pause_costs crn_pause_calibrate(const struct crn_pause_facts *facts)
{
    enum { FEW_MAPPINGS = 1000, FEW_SMALL_PAGES = 1000 };
    /*
     * What was measured elsewhere, on a virtual machine of 2 cores, for where it cannot be here.
     * `base` is what a program of 1,000 blocks and one thread takes: the stop itself, and looks at
     * what a copy of the process does not show.
     */
    struct crn_pause_costs costs = {
        .base = 3e6, .thread = 1e5, .mapping = 300, .small_page = 60, .huge_page = 1500};
    double without = clone_measure();
    if (facts->small_pages > FEW_SMALL_PAGES)
        costs.small_page = small_page_measure(without, costs.small_page);
    if (facts->huge_pages > 0)
        costs.huge_page = huge_page_measure(without, costs.huge_page);
    if (facts->mappings > FEW_MAPPINGS)
        costs.mapping = mapping_measure(without, costs.mapping);
    return costs;
}

uint64_t crn_pause_foresee_ns(const struct crn_pause_facts *facts,
                              const struct crn_pause_costs *costs)
{
    double ns = costs->base + (double)facts->threads * costs->thread + (double)facts->mappings * costs->mapping +
                (double)facts->small_pages * costs->small_page +
                (double)facts->huge_pages * costs->huge_page;
    return (uint64_t)ns;
}
