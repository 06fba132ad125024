/*
 * Stale words of reused memory: a block that is handed out again holds what was written there
 * before, in the part that nobody writes now.  Here it held the context of a coroutine, which waits
 * and which nobody can resume any more; the new block is live.
 *
 * Small blocks are wiped when they are handed out, large ones on demand, by page: the new block
 * takes no more memory than the old one used.
 *
 * BUILD: once
 * RUN:    coroner run --format=json --output=report.json $CASE 48
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --scrub=no --format=json --output=report.json $CASE 48
 * EXPECT: none
 * EXPECT: summary    coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 1024
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 6000
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --scrub --format=json --output=report.json $CASE 6000
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --scrub --format=json --output=report.json $CASE 5000000
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 48 aligned
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 48 shrunk
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE 48 grown
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --scrub --format=json --output=report.json $CASE 5000000 grown
 * EXPECT: abandoned  blocks=3 confidence=proven suspended_in=wait_for_reply
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --scrub --format=json --output=report.json $CASE 48 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <sys/resource.h>

struct task {
    ucontext_t context;
};

GLOBAL char *volatile held;
GLOBAL ucontext_t scheduler;

static void wait_for_reply(void *argument)
{
    struct task *volatile self = argument;
    char *volatile request = malloc(4096);
    fill(request, 4096);
    swapcontext(&self->context, &scheduler);
    free(request);
}

/* Answers its handle. */
NOINLINE static struct task *task_wait(void)
{
    struct task *task = calloc(1, sizeof *task);
    REQUIRE(task != NULL);
    coroutine_make(&task->context, heap_stack(STACK_BYTES), STACK_BYTES, &scheduler, wait_for_reply,
                   task);
    swapcontext(&scheduler, &task->context);
    return task;
}

/* Words where nobody writes to the new block: its end, and the middle of a page. */
NOINLINE static void handles_write(char *block, size_t bytes, void *handle)
{
    memcpy(block + bytes - 8, &handle, 8);
    if (bytes > 8192)
        memcpy(block + bytes / 2 / 4096 * 4096 + 1024, &handle, 8);
}

/* A block of the size where one was that held the coroutine. */
NOINLINE static char *block_remake(size_t bytes, void *handle, char **argv)
{
    char *block = malloc(bytes);
    REQUIRE(block != NULL);
    handles_write(block, bytes, handle);
    if (said(argv, "twin"))
        return block;
    if (said(argv, "shrunk")) { /* where it is: its end is spare */
        char *smaller = realloc(block, bytes - 8);
        REQUIRE(smaller == block);
        return smaller;
    }
    volatile uintptr_t was = hide(block);
    free(block);
    char *again;
    if (said(argv, "aligned"))
        REQUIRE(posix_memalign((void **)&again, 16, bytes) == 0);
    else if (said(argv, "grown"))
        again = realloc(malloc(16), bytes);
    else
        again = malloc(bytes);
    REQUIRE(again != NULL && (said(argv, "grown") || hide(again) / 4096 == was / 4096));
    again[0] = 'x';
    return again;
}

int main(int argc, char **argv)
{
    REQUIRE(argc > 1);
    size_t bytes = strtoul(argv[1], NULL, 10);
    held = block_remake(bytes, task_wait(), argv);
    struct rusage usage;
    REQUIRE(getrusage(RUSAGE_SELF, &usage) == 0 && usage.ru_maxrss < 64 << 10);
    wipe();
    return 0;
}
