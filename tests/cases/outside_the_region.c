/*
 * Blocks that lie outside the range where Coroner keeps the heap are blocks like any other: one of a
 * hundred gigabytes, and small ones that jemalloc cuts from the memory of such a one when it has been
 * freed.
 *
 * RUN:    MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:0 \
 *         coroner run --format=json --output=report.json $CASE huge
 * EXPECT: lost       blocks=1 bytes=107374182400 indirect_blocks=1 indirect_bytes=777 allocated_in=make_huge
 * EXPECT: exit       status=23
 * NEEDS:  grep -q '[01]' /proc/sys/vm/overcommit_memory # no terabyte is promised here
 *
 * So is one of a terabyte and a half, which is larger than that range.
 *
 * RUN:    MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:0 \
 *         coroner run --format=json --output=report.json $CASE huge twin
 * EXPECT: none
 * EXPECT: exit       status=0
 * NEEDS:  grep -q '[01]' /proc/sys/vm/overcommit_memory # no terabyte is promised here
 *
 * RUN:    MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:0 \
 *         coroner run --format=json --output=report.json $CASE small
 * EXPECT: lost       blocks=200 bytes=8000000 indirect_blocks=200 indirect_bytes=155400 allocated_in=lose
 * EXPECT: exit       status=23
 * NEEDS:  grep -q '[01]' /proc/sys/vm/overcommit_memory # no terabyte is promised here
 *
 * RUN:    MALLOC_CONF=oversize_threshold:0,dirty_decay_ms:0 \
 *         coroner run --format=json --output=report.json $CASE small twin
 * EXPECT: none
 * EXPECT: exit       status=0
 * NEEDS:  grep -q '[01]' /proc/sys/vm/overcommit_memory # no terabyte is promised here
 */
#include "case.h"

#include <malloc.h>

static const size_t LARGE = (size_t)100 << 30, HUGE = (size_t)3 << 39;

GLOBAL void *kept[400];

/* A block of 777 bytes that only another one leads to, from its end. */
NOINLINE static void inner_make(char *holder, size_t at)
{
    char *inner = malloc(777);
    fill(inner, 777);
    memcpy(holder + at, &inner, sizeof inner);
}

NOINLINE static void *make_huge(size_t bytes)
{
    char *huge = malloc(bytes);
    REQUIRE(huge != NULL && malloc_usable_size(huge) >= bytes);
    inner_make(huge, bytes - sizeof(void *));
    return huge;
}

NOINLINE static void *lose(void)
{
    char *block = malloc(40000);
    fill(block, 40000);
    inner_make(block, 16);
    return block;
}

NOINLINE static void huge_lose(bool is_twin)
{
    void *huge = make_huge(is_twin ? HUGE : LARGE);
    kept[0] = is_twin ? huge : NULL;
}

NOINLINE static void small_lose(bool is_twin)
{
    /* Of what is freed here the small ones are cut; some of it is calloc'ed and must be zero. */
    char *volatile huge = malloc(HUGE);
    REQUIRE(huge != NULL);
    free(huge);
    for (int i = 0; i < 200; i++) {
        void *block = lose();
        kept[i] = is_twin ? block : NULL;
    }
    char *zeroed = calloc(1, 3000000);
    for (int i = 0; i < 3000000; i++)
        REQUIRE(zeroed[i] == 0);
    char *moved = realloc(zeroed, 5000000);
    REQUIRE(moved != NULL && moved[2999999] == 0);
    free(moved);
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "huge"))
        huge_lose(said(argv, "twin"));
    else
        small_lose(said(argv, "twin"));
    wipe();
    return 0;
}
