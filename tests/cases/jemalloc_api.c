/*
 * Programs that find jemalloc's own functions use them beside malloc, on the same blocks.  A block
 * of mallocx keeps what it points to live while a global holds it; dropped, it is lost, and what
 * it points to with it.  Each way to resize and free one keeps the books right.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE drop
 * EXPECT: lost       blocks=1 bytes=5000 indirect_blocks=1 indirect_bytes=70 \
 *                    allocated_in=make_table confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE resize
 * EXPECT: lost       blocks=1 bytes=300000 allocated_in=grow
 * EXPECT: lost       blocks=1 bytes=90000 allocated_in=grow_in_place
 * EXPECT: exit       status=23
 */
#include "case.h"

void *mallocx(size_t bytes, int flags) __attribute__((weak));
void *rallocx(void *block, size_t bytes, int flags) __attribute__((weak));
size_t xallocx(void *block, size_t bytes, size_t extra, int flags) __attribute__((weak));
size_t sallocx(const void *block, int flags) __attribute__((weak));
size_t nallocx(size_t bytes, int flags) __attribute__((weak));
void dallocx(void *block, int flags) __attribute__((weak));
void sdallocx(void *block, size_t bytes, int flags) __attribute__((weak));

enum { ALIGN_256 = 8, ZERO = 0x40, NO_CACHE = 1 << 8 }; /* MALLOCX_LG_ALIGN(8) and so on */

GLOBAL char **table;

NOINLINE static char **make_table(void)
{
    char **made = mallocx(5000, ZERO);
    made[600] = malloc(70);
    fill(made[600], 70);
    return made;
}

NOINLINE static void free_in_every_way(void)
{
    char *block = mallocx(100, ALIGN_256);
    REQUIRE((uintptr_t)block % 256 == 0);
    fill(block, 100);
    free(block);
    block = malloc(100);
    fill(block, 100);
    dallocx(block, 0);
    block = malloc(1);
    REQUIRE(sallocx(block, 0) == nallocx(1, 0));
    sdallocx(block, 1, NO_CACHE);
    block = mallocx(40000, NO_CACHE);
    fill(block, 40000);
    block = realloc(block, 50000);
    sdallocx(block, 50000, NO_CACHE);
    block = rallocx(malloc(200), 150000, ALIGN_256);
    REQUIRE((uintptr_t)block % 256 == 0 && sallocx(block, 0) >= 150000);
    REQUIRE(rallocx(block, (size_t)1 << 60, 0) == NULL);
    dallocx(block, 0);
}

NOINLINE static void grow(void)
{
    char *block = malloc(10);
    memset(block, 'x', 10);
    block = rallocx(block, 300000, ZERO);
    REQUIRE(block[9] == 'x' && block[299999] == 0);
    fill(block, 300000);
}

NOINLINE static void grow_in_place(void)
{
    char *block = mallocx(81920, 0);
    fill(block, 81920);
    size_t usable = xallocx(block, 90000, 0, 0);
    REQUIRE(usable == sallocx(block, 0));
    if (usable < 90000) /* there was no room behind it */
        block = rallocx(block, 90000, 0);
    fill(block, 90000);
}

NOINLINE static void drop(void)
{
    table = NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    REQUIRE(mallocx != NULL && sdallocx != NULL);
    free_in_every_way();
    table = make_table();
    if (said(argv, "drop"))
        drop();
    if (said(argv, "resize")) {
        grow();
        grow_in_place();
    }
    wipe();
    return 0;
}
