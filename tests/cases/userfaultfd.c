/*
 * Pages that userfaultfd serves from a thread, which stands still during a check: whoever touched
 * one would wait for ever.  What such a page may hold is at most likely lost; what a page of that
 * memory holds that is there is live.
 *
 * BUILD:  once
 * FLAGS:  -pthread
 * RUN:    timeout 20 coroner run --format=json --output=report.json $CASE
 * NEEDS:  $CASE # userfaultfd cannot be had here
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=lose confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    timeout 20 coroner run --format=json --output=report.json $CASE heap
 * NEEDS:  $CASE heap # userfaultfd cannot be had here
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=lose confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    timeout 20 coroner run --format=json --output=report.json $CASE shared
 * NEEDS:  $CASE shared # userfaultfd cannot be had here
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=lose confidence=likely
 * EXPECT: exit       status=0
 *
 * With its descriptor closed, nobody serves, and the leak is proven.
 *
 * RUN:    timeout 20 coroner run --format=json --output=report.json $CASE closed
 * NEEDS:  $CASE closed # userfaultfd cannot be had here
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=lose confidence=proven
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

enum { PAGE = 4096, PAGES = 4, BYTES = PAGES * PAGE };

static int served_by;
GLOBAL char *memory;

NOINLINE static void lose(void)
{
    fill(malloc(1000), 1000);
}

NOINLINE static char *make_kept(void)
{
    char *block = malloc(500);
    fill(block, 500);
    return block;
}

static void *serve(void *argument)
{
    static char zeros[PAGE] __attribute__((aligned(PAGE)));
    struct uffd_msg message;
    for (;;) {
        struct pollfd one = {served_by, POLLIN, 0};
        poll(&one, 1, -1);
        if (read(served_by, &message, sizeof message) != sizeof message)
            continue;
        struct uffdio_copy copy = {.dst = message.arg.pagefault.address & ~(PAGE - 1ul),
                                   .src = (uintptr_t)zeros,
                                   .len = PAGE};
        ioctl(served_by, UFFDIO_COPY, &copy);
    }
    return argument;
}

static char *memory_make(char **argv)
{
    int flags = MAP_ANONYMOUS | (said(argv, "shared") ? MAP_SHARED : MAP_PRIVATE);
    char *start = said(argv, "heap") ? aligned_alloc(PAGE, BYTES)
                                     : mmap(NULL, BYTES, PROT_READ | PROT_WRITE, flags, -1, 0);
    REQUIRE(start != NULL && start != MAP_FAILED);
    madvise(start, BYTES, MADV_DONTNEED);
    return start;
}

int main(int argc, char **argv)
{
    struct uffdio_api api = {.api = UFFD_API};
    pthread_t thread;
    (void)argc;
    served_by = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (served_by < 0 || ioctl(served_by, UFFDIO_API, &api) != 0)
        return 77;
    memory = memory_make(argv);
    struct uffdio_register all = {.range = {(uintptr_t)memory, BYTES},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
    if (ioctl(served_by, UFFDIO_REGISTER, &all) != 0)
        return 77;
    if (said(argv, "closed"))
        close(served_by);
    else
        REQUIRE(pthread_create(&thread, NULL, serve, NULL) == 0);
    *(char **)memory = make_kept();
    lose();
    wipe();
    return 0;
}
