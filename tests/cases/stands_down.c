/*
 * Coroner stands down in the middle of a program (a debugger makes it).  What it had on record says
 * nothing any more: blocks from before and after are freed and made anew by threads that never knew
 * it, and keep their contents, sizes and neighbours.
 *
 * BUILD:  once
 * RUN:    gdb -nx -q -batch -ex 'set startup-with-shell off' -ex 'set confirm off' \
 *             -ex "set environment LD_PRELOAD $SHIM" -ex 'break stand_down_here' -ex run \
 *             -ex 'call (void)crn_shim_stand_down("of a test")' -ex 'delete' -ex continue \
 *             -ex 'print $_exitcode' $CASE 2>&1 | grep -aE '^(\$1 =|coroner: Coroner stood)'
 * NEEDS:  command -v gdb # there is no gdb
 * EXPECT: stdout     /\$1 = 0/
 */
#include "case.h"

#include <malloc.h>
#include <pthread.h>

enum { BLOCKS = 5000 };

GLOBAL unsigned char *before[BLOCKS], *after[BLOCKS];

NOINLINE static void stand_down_here(void)
{
    __asm__ volatile("");
}

static void check(unsigned char *block, size_t bytes, unsigned seed)
{
    for (size_t i = 0; i < bytes; i++)
        REQUIRE(block[i] == (unsigned char)(seed + i));
}

static unsigned char *filled(unsigned char *block, size_t bytes, unsigned seed)
{
    REQUIRE(block != NULL && malloc_usable_size(block) >= bytes);
    for (size_t i = 0; i < bytes; i++)
        block[i] = (unsigned char)(seed + i);
    return block;
}

/* So that slabs and pages come to hold blocks of other sizes. */
static void *make_anew(void *unused)
{
    for (unsigned i = 0; i < BLOCKS; i++) {
        check(before[i], 112, i);
        free(before[i]);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        after[i] = filled(malloc(i % 9 == 0 ? 20000 : 224), 224, i);
    return unused;
}

static void go_on(void)
{
    pthread_t thread;
    REQUIRE(pthread_create(&thread, NULL, make_anew, NULL) == 0);
    pthread_join(thread, NULL);
    for (unsigned i = 0; i < BLOCKS; i++) {
        after[i] = realloc(after[i], i % 3 == 0 ? 500 : 230);
        check(after[i], 224, i);
        filled(after[i], 230, i + 1);
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        before[i] = filled(i % 2 == 0 ? malloc(112) : calloc(1, 112), 112, i + 2);
    for (unsigned i = 0; i < BLOCKS; i++) {
        check(after[i], 230, i + 1);
        check(before[i], 112, i + 2);
        free(after[i]);
        free(before[i]);
    }
}

int main(void)
{
    for (unsigned i = 0; i < BLOCKS; i++)
        before[i] = filled(malloc(112), 112, i);
    void *large = malloc(3 << 20);
    stand_down_here();
    go_on();
    large = realloc(large, 9 << 20);
    REQUIRE(malloc_usable_size(large) >= 9 << 20);
    free(large);
    free(strdup("and libc, too"));
    return 0;
}
