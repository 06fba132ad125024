/*
 * What calloc gives is zero, or NULL, whatever the kernel refuses meanwhile and whatever jemalloc was
 * told: at the limit of mappings, where memory cannot be given back; where pages are locked; and
 * where a limit of data is reached.
 *
 * BUILD:  once
 * RUN:    MALLOC_CONF=retain:false coroner run --format=json --output=report.json $CASE mappings
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    MALLOC_CONF=retain:false,dirty_decay_ms:0 coroner run --format=json \
 *         --output=report.json $CASE locked
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    MALLOC_CONF=dirty_decay_ms:0 coroner run --format=json --output=report.json $CASE locked
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    MALLOC_CONF=retain:false coroner run --error-exitcode=0 $CASE data
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --error-exitcode=0 $CASE data
 * EXPECT: exit       status=0
 * LIVE:   never # with its hard limit no thread of ours can begin
 */
#include "case.h"

#include <sys/resource.h>

enum { BLOCKS = 6, BLOCK_BYTES = 8 << 20, MAPPINGS_MAX = 1 << 20 };

/* Uses mappings up until the kernel refuses more; answers how many that were. */
static int mappings_exhaust(char **mappings)
{
    int count = 0;
    for (; count < MAPPINGS_MAX; count++) {
        char *pages = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pages == MAP_FAILED)
            break;
        mappings[count] = pages;
        if (mprotect(pages, 4096, PROT_READ) != 0)
            return count + 1;
    }
    return count;
}

static void blocks_make(char **blocks)
{
    for (int i = 0; i < BLOCKS; i++) {
        blocks[i] = malloc(BLOCK_BYTES);
        REQUIRE(blocks[i] != NULL);
        fill(blocks[i], BLOCK_BYTES);
    }
}

static void zeros_check(size_t bytes)
{
    for (int i = 0; i < BLOCKS; i++) {
        char *zeroed = calloc(1, bytes);
        for (size_t k = 0; zeroed != NULL && k < bytes; k++)
            REQUIRE(zeroed[k] == 0);
        free(zeroed);
    }
}

/* Every other one first, so that what is given back lies between what is kept. */
static void blocks_free(char **blocks)
{
    for (int i = 0; i < BLOCKS; i += 2)
        free(blocks[i]);
    zeros_check(BLOCK_BYTES);
    zeros_check(BLOCK_BYTES / 2);
    for (int i = 1; i < BLOCKS; i += 2)
        free(blocks[i]);
    zeros_check(BLOCK_BYTES);
    zeros_check(100000);
}

int main(int argc, char **argv)
{
    static char *blocks[BLOCKS];
    (void)argc;
    blocks_make(blocks);
    if (said(argv, "mappings")) {
        char **mappings = mmap(NULL, MAPPINGS_MAX * sizeof *mappings, PROT_READ | PROT_WRITE,
                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        int count = mappings_exhaust(mappings);
        blocks_free(blocks);
        for (int i = 0; i < count; i++)
            munmap(mappings[i], 8192);
    } else if (said(argv, "locked")) {
        for (int i = 0; i < BLOCKS; i++)
            mlock(blocks[i], 1 << 20);
        blocks_free(blocks);
    } else {
        struct rlimit limit = {(rlim_t)100 << 20, RLIM_INFINITY};
        REQUIRE(setrlimit(RLIMIT_DATA, &limit) == 0);
        while (malloc(50000) != NULL)
            ;
        blocks_free(blocks);
    }
    return 0;
}
