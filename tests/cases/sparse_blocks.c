/*
 * Large blocks that are used sparsely take no more memory under Coroner than they touch, also where the
 * machine gives huge pages to whoever asks; and it says the same of them.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 1048576
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 204800
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 65536
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 *
 * Also where the heap was full of small blocks before.
 *
 * RUN:    MALLOC_CONF=dirty_decay_ms:0 coroner run --format=json --output=report.json \
 *         $CASE 1048576 after
 * EXPECT: lost       blocks=1 bytes=456 allocated_in=make_plan
 * EXPECT: exit       status=23
 */
#include "case.h"

enum { HEAP_BYTES = 500 << 20, SMALL_BYTES = 512, SMALL_BLOCKS = 400000 };

/* What of the process is resident, in bytes. */
static size_t resident(void)
{
    size_t pages[2] = {0, 0};
    FILE *file = fopen("/proc/self/statm", "r");
    REQUIRE(file != NULL && fscanf(file, "%zu %zu", &pages[0], &pages[1]) == 2);
    fclose(file);
    return pages[1] * 4096;
}

NOINLINE static char *make_plan(void)
{
    char *plan = malloc(456);
    fill(plan, 456);
    return plan;
}

NOINLINE static void plan_lose(void)
{
    make_plan();
}

GLOBAL char *small[SMALL_BLOCKS];

/* Fills 200 MB from end to end, and gives it back. */
static void small_come_and_go(void)
{
    for (int i = 0; i < SMALL_BLOCKS; i++) {
        small[i] = malloc(SMALL_BYTES);
        fill(small[i], SMALL_BYTES);
    }
    for (int i = 0; i < SMALL_BLOCKS; i++)
        free(small[i]);
    memset(small, 0, sizeof small);
}

GLOBAL char **blocks;

int main(int argc, char **argv)
{
    size_t bytes = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, count = HEAP_BYTES / bytes;
    plan_lose();
    if (said(argv, "after"))
        small_come_and_go();
    size_t before = resident();
    blocks = calloc(count, sizeof *blocks);
    for (size_t i = 0; i < count; i++) {
        blocks[i] = malloc(bytes);
        fill(blocks[i], 16);
        void *beside = malloc(48); /* as the record of a coroutine whose stack it is */
        fill(beside, 48);
        memcpy(blocks[i], &beside, sizeof beside);
    }
    /* A page, with the pages that describe it, and what we know of it. */
    REQUIRE(resident() - before < count * 3 * 4096 + (8 << 20));
    wipe();
    return 0;
}
