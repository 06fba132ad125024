/*
 * A check takes its memory from the kernel and never from the program's heap.  Where the kernel has
 * none left there is no verdict but one line that says so, and the program ends as it would have.
 *
 * RUN:    (ulimit -v 2000000; coroner run $CASE 1000000)
 * EXPECT: stderr     /there was no memory for the check; there is no verdict/
 * EXPECT: exit       status=7
 *
 * RUN:    (ulimit -v 2000000; LD_PRELOAD=$SHIM $CASE 0)
 * EXPECT: stderr     /there was no memory for the check; there is no report/
 * EXPECT: exit       status=7
 *
 * RUN:    (ulimit -v 2000000; coroner run $CASE 100000000)
 * EXPECT: stderr     /leaked 456 bytes in 1 block/
 * EXPECT: exit       status=23
 */
#include "case.h"

static void *map(size_t bytes)
{
    return mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

NOINLINE static void plan_lose(void)
{
    char *plan = malloc(456);
    fill(plan, 456);
}

/* Takes all addresses there are, but for as many bytes as the argument says. */
int main(int argc, char **argv)
{
    size_t left = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    void *kept_free = left > 0 ? map(left) : NULL;
    plan_lose();
    for (size_t bytes = (size_t)1 << 40; bytes >= 4096;)
        if (map(bytes) == MAP_FAILED)
            bytes /= 2;
    if (left > 0)
        munmap(kept_free, left);
    wipe();
    return 7;
}
