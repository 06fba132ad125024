/*
 * A program that allocates until malloc says NULL, frees it all and goes on, lives on under Coroner as
 * elsewhere, whatever the limit and the size of its blocks; and what it gets is at least a quarter of
 * what the limit would hold.
 *
 * RUN:    coroner run --error-exitcode=0 $CASE data
 * EXPECT: exit       status=0
 * LIVE:   never # with its hard limit no thread of ours can begin
 *
 * RUN:    coroner run --error-exitcode=0 $CASE address
 * EXPECT: exit       status=0
 * LIVE:   never # with its hard limit no thread of ours can begin
 *
 * RUN:    MALLOC_CONF=retain:false coroner run --error-exitcode=0 $CASE data
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --error-exitcode=0 --stacks=off $CASE address
 * EXPECT: exit       status=0
 * LIVE:   never # with its hard limit no thread of ours can begin
 */
#include "case.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/wait.h>

enum { LIMIT_FIRST = 40 << 20, LIMIT_STEP = 13000000, LIMITS = 3 };

/* A list: each block holds the one before. */
static void *list;
static size_t list_bytes;

/* clang takes it that malloc leaves errno alone. */
NOINLINE static int error_now(void)
{
    __asm__ volatile("" ::: "memory");
    return errno;
}

static void fill_up(size_t bytes)
{
    void **block;
    errno = 0;
    while ((block = malloc(bytes)) != NULL) {
        *block = list;
        list = block;
        list_bytes += bytes;
    }
    REQUIRE(error_now() == ENOMEM);
}

static void give_back(void)
{
    while (list != NULL) {
        void **block = list;
        list = *block;
        free(block);
    }
    list_bytes = 0;
}

static void live_with(int resource, size_t limit_bytes, size_t bytes)
{
    struct rlimit limit = {limit_bytes, limit_bytes};
    REQUIRE(setrlimit(resource, &limit) == 0);
    fill_up(bytes);
    REQUIRE(list_bytes > limit_bytes / 4);
    give_back();
    for (int i = 0; i < 1000; i++) {
        char *block = malloc(bytes);
        if (block == NULL) /* plain jemalloc, too, may have cut its memory in other pieces */
            break;
        fill(block, bytes);
        *(void **)block = list;
        list = block;
    }
    give_back();
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {64, 1000, 16384};
    int resource = said(argv, "data") ? RLIMIT_DATA : RLIMIT_AS;
    (void)argc;
    for (int i = 0; i < LIMITS * (int)(sizeof sizes / sizeof sizes[0]); i++) {
        pid_t child = fork();
        if (child == 0) {
            live_with(resource, LIMIT_FIRST + (size_t)(i % LIMITS) * LIMIT_STEP, sizes[i / LIMITS]);
            _exit(0);
        }
        int status = 1;
        REQUIRE(waitpid(child, &status, 0) == child && status == 0);
    }
    return 0;
}
