/*
 * The malloc family keeps glibc's manners: alignment, errno, overflow, odd sizes.  The program
 * checks itself, and runs the same without Coroner.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    $CASE
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>
#include <malloc.h>

static volatile size_t zero, huge = (size_t)PTRDIFF_MAX + 1;

static bool is_aligned(void *address, size_t alignment)
{
    return address != NULL && (uintptr_t)address % alignment == 0;
}

static void refuses(void *result)
{
    REQUIRE(result == NULL);
    REQUIRE(errno == ENOMEM);
    errno = 0;
}

static void plain_allocations(void)
{
    for (size_t bytes = 0; bytes < 5000; bytes++) {
        char *block = malloc(bytes);
        REQUIRE(is_aligned(block, 16));
        REQUIRE(malloc_usable_size(block) >= bytes);
        fill(block, malloc_usable_size(block));
        free(block);
    }
    void *one = malloc(zero), *other = malloc(zero);
    REQUIRE(one != NULL && other != NULL && one != other);
    free(one);
    free(other);
    REQUIRE(malloc_usable_size(NULL) == 0);
}

static void zeroed_allocations(void)
{
    for (size_t bytes = 1; bytes < 3000000; bytes = bytes * 3 + 1) {
        char *dirty = malloc(bytes);
        fill(dirty, bytes);
        free(dirty);
        char *block = calloc(bytes, 1);
        for (size_t i = 0; i < bytes; i++)
            REQUIRE(block[i] == 0);
        free(block);
    }
    void *empty = calloc(zero, 8);
    REQUIRE(empty != NULL);
    free(empty);
}

static void refusals(void)
{
    errno = 0;
    refuses(malloc(huge));
    refuses(malloc(SIZE_MAX - zero));
    refuses(calloc(huge, 2));
    refuses(calloc(SIZE_MAX / 2 - zero, 3));
    char *volatile block = malloc(100);
    fill(block, 100);
    refuses(realloc(block, huge));
    refuses(reallocarray(block, huge, 2));
    refuses(reallocarray(block, SIZE_MAX / 4 - zero, 5));
    refuses(memalign(64, huge));
    refuses(valloc(huge));
    refuses(pvalloc(SIZE_MAX - zero));
    refuses(aligned_alloc(64, huge));
    for (int i = 0; i < 100; i++)
        REQUIRE(block[i] == 'x');
    free(block);
}

static void resizing(void)
{
    char *block = realloc(NULL, 10);
    memcpy(block, "012345678", 10);
    for (size_t bytes = 20; bytes < 5000000; bytes = bytes * 2 + 3) {
        block = realloc(block, bytes);
        REQUIRE(memcmp(block, "012345678", 10) == 0);
        fill(block + 10, bytes - 10);
    }
    block = reallocarray(block, 10, 1);
    REQUIRE(memcmp(block, "012345678", 10) == 0);
    errno = 7;
    REQUIRE(realloc(block, zero) == NULL); /* frees, as glibc does */
    REQUIRE(errno == 7);
    block = reallocarray(NULL, zero, 4);
    REQUIRE(block != NULL);
    free(block);
}

static void alignments(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *block = NULL;
    for (size_t alignment = 8; alignment <= 1 << 22; alignment *= 2) {
        REQUIRE(posix_memalign(&block, alignment, 33) == 0 && is_aligned(block, alignment));
        fill(block, 33);
        free(block);
        block = aligned_alloc(alignment, alignment * 2);
        REQUIRE(is_aligned(block, alignment));
        free(block);
        block = memalign(alignment, 100);
        REQUIRE(is_aligned(block, alignment));
        block = realloc(block, 5000);
        REQUIRE(block != NULL);
        free(block);
    }
    block = memalign(48 + zero, 100); /* no power of two: glibc takes the next one */
    REQUIRE(is_aligned(block, 64));
    free(block);
    block = valloc(1);
    REQUIRE(is_aligned(block, page));
    free(block);
    block = pvalloc(page + 1);
    REQUIRE(is_aligned(block, page) && malloc_usable_size(block) >= 2 * page);
    fill(block, 2 * page);
    free(block);
}

/* posix_memalign answers its error and touches the result only on success. */
static void posix_memalign_answers(void)
{
    void *const untouched = (void *)&zero;
    void *block = untouched;
    errno = 7;
    REQUIRE(posix_memalign(&block, 3 + zero, 10) == EINVAL && block == untouched);
    REQUIRE(posix_memalign(&block, 4 + zero, 10) == EINVAL && block == untouched);
    REQUIRE(posix_memalign(&block, zero, 10) == EINVAL && block == untouched);
    REQUIRE(errno == 7);
    REQUIRE(posix_memalign(&block, 64, huge) == ENOMEM && block == untouched);
}

/* Whether the kernel promises whatever it is asked for. */
static bool promises_all(void)
{
    FILE *file = fopen("/proc/sys/vm/overcommit_memory", "r");
    int mode = file != NULL ? fgetc(file) : '0';
    if (file != NULL)
        fclose(file);
    return mode == '1';
}

/* glibc asks the kernel for as much more as the alignment is, and is refused. */
static void huge_alignments(void)
{
    void *const untouched = (void *)&zero;
    for (size_t alignment = (size_t)1 << 40; alignment <= (size_t)1 << 46 && !promises_all();
         alignment *= 4) {
        void *block = untouched;
        REQUIRE(posix_memalign(&block, alignment, 100) == ENOMEM && block == untouched);
        refuses(memalign(alignment, 100));
        refuses(aligned_alloc(alignment, alignment));
    }
    void *block = NULL;
    if (posix_memalign(&block, (size_t)1 << 32, 100) == 0) {
        REQUIRE(is_aligned(block, (size_t)1 << 32));
        fill(block, 100);
        free(block);
    }
}

static void frees_quietly(void)
{
    errno = 7;
    free(NULL);
    REQUIRE(errno == 7);
    char *block = malloc(50);
    fill(block, 50);
    errno = 7;
    free(block);
    REQUIRE(errno == 7);
    block = malloc(50 << 20);
    fill(block, 4096);
    errno = 7;
    free(block);
    REQUIRE(errno == 7);
}

int main(void)
{
    plain_allocations();
    zeroed_allocations();
    refusals();
    resizing();
    alignments();
    posix_memalign_answers();
    huge_alignments();
    frees_quietly();
    return 0;
}
