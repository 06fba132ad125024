/*
 * A block that is freed twice, or a pointer that is none, ends the program as glibc does, after a
 * line that says which block it was and where it had been allocated.  Only reported, it is counted,
 * nothing is freed, and the check at the end comes all the same.
 *
 * BUILD:  once
 * FLAGS:  -Wno-free-nonheap-object
 * RUN:    coroner run --format=json --output=report.json $CASE twice
 * EXPECT: stderr     /free\(\) of 0x[0-9a-f]+: a block of 100 bytes that was freed before, allocated in make_name \(bad_free\+0x[0-9a-f]+\), /
 * EXPECT: exit       status=134
 * RUN:    coroner run --format=json --output=report.json $CASE inside
 * EXPECT: stderr     /free\(\) of 0x[0-9a-f]+: 16 bytes into a block of 100 bytes, allocated in make_name/
 * EXPECT: exit       status=134
 * RUN:    coroner run --format=json --output=report.json $CASE global
 * EXPECT: stderr     /free\(\) of 0x[0-9a-f]+: not a block of malloc's/
 * EXPECT: exit       status=134
 * RUN:    coroner run --format=json --output=report.json $CASE resized
 * EXPECT: stderr     /realloc\(\) of 0x[0-9a-f]+: a block of 100 bytes that was freed before/
 * EXPECT: exit       status=134
 *
 * RUN:    coroner run --format=json --output=report.json --on-bad-free=report $CASE twice leak
 * EXPECT: stderr     /a block of 100 bytes that was freed before, allocated in make_name/
 * EXPECT: stdout     /went on/
 * EXPECT: lost       blocks=1 bytes=77 allocated_in=leak
 * EXPECT: summary    double_frees=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json --on-bad-free=ignore $CASE twice inside global
 * EXPECT: stderr-lines 0
 * EXPECT: none
 * EXPECT: summary    double_frees=3
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    double_frees=0
 * EXPECT: exit       status=0
 */
#include "case.h"

void *__libc_malloc(size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static char area[64];

NOINLINE static char *make_name(void)
{
    char *name = malloc(100);
    fill(name, 100);
    return name;
}

NOINLINE static void leak(void)
{
    fill(malloc(77), 77);
}

/* Through volatile pointers, or the compiler sees what is wrong. */
NOINLINE static void free_badly(char **argv)
{
    char *volatile name = make_name();
    if (said(argv, "inside"))
        free(name + 16);
    char *volatile global = area + 16;
    if (said(argv, "global"))
        free(global);
    free(name);
    if (said(argv, "twice"))
        free(name);
    if (said(argv, "resized"))
        name = realloc(name, 300);
}

/* What a correct program may free. */
NOINLINE static void free_well(void)
{
    free(NULL);
    for (size_t bytes = 1; bytes < 1 << 20; bytes *= 3) {
        free(__libc_malloc(bytes));
        free(__libc_memalign(256, bytes));
        free(aligned_alloc(256, bytes));
        free(realloc(malloc(bytes), bytes * 2));
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    free_well();
    free_badly(argv);
    free_well();
    if (said(argv, "leak"))
        leak();
    puts("went on");
    wipe();
    return 0;
}
