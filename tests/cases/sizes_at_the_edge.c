/*
 * Requests at the edges, as LeakSanitizer's tests make them: of nothing, of too much, realloc to
 * nothing and beyond what there is, after which the old block is as it was.  What is not given out
 * is not lost, and what is stays what it is.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE lose
 * EXPECT: lost       blocks=3 bytes=100 confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <errno.h>

GLOBAL char *kept;
GLOBAL void *volatile refused; /* clang leaves out what nobody asks for */
GLOBAL volatile size_t too_much = PTRDIFF_MAX;

/* Of no bytes: a block all the same, which must be freed. */
NOINLINE static char *empty_make(size_t bytes)
{
    char *block = malloc(bytes);
    REQUIRE(block != NULL);
    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static char *array_make(size_t count)
{
    char *block = calloc(count, 3);
    REQUIRE(block != NULL);
    __asm__ volatile("" : : "r"(block) : "memory");
    return block;
}

NOINLINE static void ask_too_much(void)
{
    kept = malloc(100);
    fill(kept, 100);
    errno = 0;
    REQUIRE(realloc(kept, too_much + 1) == NULL && errno == ENOMEM);
    REQUIRE(reallocarray(kept, too_much / 2, 4) == NULL && errno == ENOMEM);
    refused = malloc(too_much + 1);
    REQUIRE(refused == NULL);
    refused = calloc(too_much, 4);
    REQUIRE(refused == NULL);
    REQUIRE(kept[0] == 'x' && kept[99] == 'x');
}

int main(int argc, char **argv)
{
    (void)argc;
    ask_too_much();
    if (said(argv, "lose")) {
        empty_make(0);
        array_make(0);
        kept = NULL;
    } else {
        free(empty_make(0));
        free(array_make(0));
        char *block = realloc(empty_make(10), 0); /* glibc frees it */
        REQUIRE(block == NULL);
        free(kept);
    }
    wipe();
    return 0;
}
