/*
 * The plainest leaks, as LeakSanitizer's and Memcheck's tests begin: a function allocates and
 * returns, nobody keeps the result.  Every way to allocate, every level of optimisation, both
 * compilers, as C and as C++; nothing is wiped.  Each program loses nine blocks.
 *
 * BUILD: once
 * RUN:    for level in 0 1 2 3 s g; do gcc -w -D_GNU_SOURCE -O$level $SOURCE -o program && \
 *             coroner run --format=json --output=report.json.$level ./program; echo $?; done
 * NEEDS:  gcc --version # there is no gcc
 * EXPECT: lost       blocks=54 confidence=proven
 * EXPECT: stdout     /^(23\n){6}$/
 *
 * RUN:    for level in 0 1 2 3 s g; do clang -w -D_GNU_SOURCE -O$level $SOURCE -o program && \
 *             coroner run --format=json --output=report.json.$level ./program; echo $?; done
 * NEEDS:  clang --version # there is no clang
 * EXPECT: lost       blocks=54 confidence=proven
 * EXPECT: stdout     /^(23\n){6}$/
 *
 * RUN:    for level in 0 1 2 3 s g; do g++ -w -D_GNU_SOURCE -x c++ -O$level $SOURCE -o program && \
 *             coroner run --format=json --output=report.json.$level ./program; echo $?; done
 * NEEDS:  g++ --version # there is no g++
 * EXPECT: lost       blocks=66 confidence=proven
 * EXPECT: stdout     /^(23\n){6}$/
 *
 * RUN:    for level in 0 1 2 3 s g; do clang++ -w -D_GNU_SOURCE -x c++ -O$level $SOURCE -o program && \
 *             coroner run --format=json --output=report.json.$level ./program; echo $?; done
 * NEEDS:  clang++ --version # there is no clang++
 * EXPECT: lost       blocks=66 confidence=proven
 * EXPECT: stdout     /^(23\n){6}$/
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

/* What compilers cannot see through: else they leave the allocation out. */
NOINLINE static void use(void *block)
{
    *(volatile char *)block = 'x';
    __asm__ volatile("" : : "r"(block) : "memory");
}

NOINLINE static void lose_plainly(void)
{
    use(malloc(10));
    use(calloc(3, 7));
    use(realloc(NULL, 33));
}

NOINLINE static void lose_aligned(void)
{
    void *block = NULL;
    use(aligned_alloc(64, 128));
    if (posix_memalign(&block, 256, 300) == 0)
        use(block);
    use(memalign(32, 50));
}

NOINLINE static void lose_copies(void)
{
    char *line = NULL;
    use(strdup("a text that is copied"));
    if (asprintf(&line, "line %d", 7) > 0)
        use(line);
    use(realloc(malloc(16), 5000));
}

#ifdef __cplusplus
struct shape {
    virtual ~shape()
    {
    }
    int sides[4];
};
NOINLINE static void lose_objects(void)
{
    use(new shape);
    use(new shape[3]);
}
#else
NOINLINE static void lose_objects(void)
{
}
#endif

int main(void)
{
    lose_plainly();
    lose_aligned();
    lose_copies();
    lose_objects();
    return 0;
}
