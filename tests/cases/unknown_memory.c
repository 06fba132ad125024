/*
 * The only pointer to a block lies where the page table does not show it, or where touching it
 * would fault: on a page without access, in a shared mapping whose page somebody else wrote or that
 * was given back to the kernel, in the data of a module or in a heap block that were closed, on the
 * stack of a coroutine that sleeps behind mprotect.  The block is live in all of them.
 *
 * The twin is the same without the pointer: such memory hides no leak.
 *
 * BUILD:  once
 * RUN:    coroner run --format=json --output=report.json $CASE closed
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE closed twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE closed_shared
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE closed_shared twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE data
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE data twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE heap
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE heap twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE given_back
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE given_back twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE file
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE file twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE written
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE written twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE other_mapping
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE other_mapping twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE other_process
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE other_process twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven in=parent
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE body
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE body twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 * RUN:    coroner run --coroutines --format=json --output=report.json $CASE body twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: coroutines state=suspended suspended_in=wait_here count=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE body_shared
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE body_shared twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * A file that shrank under its mapping, terabytes of reserved address space: nothing is there.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE shrunk
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE reserved twin
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * Guard pages by MADV_GUARD_INSTALL, in a mapping and in a heap block: what lies beside them counts.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE guard
 * NEEDS:  $CASE guard # this kernel has no MADV_GUARD_INSTALL
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE guard twin
 * NEEDS:  $CASE guard # this kernel has no MADV_GUARD_INSTALL
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 * RUN:    coroner run --format=json --output=report.json $CASE guard_heap
 * NEEDS:  $CASE guard # this kernel has no MADV_GUARD_INSTALL
 * EXPECT: none
 * EXPECT: exit       status=0
 * RUN:    coroner run --format=json --output=report.json $CASE guard_heap twin
 * NEEDS:  $CASE guard # this kernel has no MADV_GUARD_INSTALL
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=proven
 * EXPECT: exit       status=23
 *
 * A process that gave its privileges up may not ask for its pages any more.
 *
 * RUN:    coroner run $CASE unprivileged
 * NEEDS:  test $(id -u) = 0 # only root has privileges to give up
 * EXPECT: exit       status=0
 * RUN:    coroner run $CASE unprivileged twin
 * NEEDS:  test $(id -u) = 0 # only root has privileges to give up
 * EXPECT: exit       status=23
 *
 * A socket's packets are mapped: a device's memory is not read, and may hold the block.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE device
 * NEEDS:  $CASE device # packet rings cannot be had here
 * EXPECT: lost       blocks=1 bytes=1000 allocated_in=keep confidence=likely
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/if_packet.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { BYTES = 65536, PAGE = 4096, GUARD_INSTALL = 102 };
enum { PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS, READ_WRITE = PROT_READ | PROT_WRITE };

static bool is_twin;
static char module_data[3 * PAGE] __attribute__((aligned(PAGE))) = "not zero, hence no .bss";
GLOBAL char *kept_block, *mapping;
GLOBAL ucontext_t coroutine, scheduler;

/* Puts the only pointer to a new block at `place`; the twin puts nothing there. */
NOINLINE static void keep(void *place)
{
    char *block = malloc(1000);
    fill(block, 1000);
    memcpy(place, &block, is_twin ? 0 : sizeof block);
}

static char *map(int protection, int flags, int fd)
{
    char *start = mmap(NULL, BYTES, protection, flags, fd, 0);
    REQUIRE(start != MAP_FAILED);
    return start;
}

static int file_make(bool in_memory)
{
    int fd = in_memory ? memfd_create("case", MFD_CLOEXEC)
                       : open("mapped.file", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0 && ftruncate(fd, BYTES) == 0);
    return fd;
}

static void closed(void)
{
    mapping = map(READ_WRITE, PRIVATE, -1);
    keep(mapping + PAGE);
    REQUIRE(mprotect(mapping, BYTES, PROT_NONE) == 0);
}

static void closed_shared(void)
{
    mapping = map(READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    keep(mapping + PAGE);
    REQUIRE(madvise(mapping, BYTES, MADV_DONTNEED) == 0);
    REQUIRE(mprotect(mapping, BYTES, PROT_NONE) == 0);
}

static void data(void)
{
    keep(module_data + PAGE);
    REQUIRE(mprotect(module_data + PAGE, PAGE, PROT_NONE) == 0);
}

static void heap(void)
{
    kept_block = aligned_alloc(PAGE, 4 * PAGE);
    memset(kept_block, 0, 4 * PAGE);
    keep(kept_block + PAGE);
    REQUIRE(mprotect(kept_block + PAGE, PAGE, PROT_NONE) == 0);
}

static void given_back(void)
{
    mapping = map(READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    keep(mapping + PAGE);
    REQUIRE(madvise(mapping, BYTES, MADV_DONTNEED) == 0);
}

static void file(void)
{
    mapping = map(READ_WRITE, MAP_SHARED, file_make(false));
    keep(mapping + PAGE);
    REQUIRE(madvise(mapping, BYTES, MADV_DONTNEED) == 0);
}

static void written(void)
{
    char *word = NULL;
    int fd = file_make(true);
    mapping = map(PROT_READ, MAP_SHARED, fd);
    keep(&word);
    REQUIRE(pwrite(fd, &word, sizeof word, 2 * PAGE) == sizeof word);
}

static void other_mapping(void)
{
    int fd = file_make(true);
    char *first = map(READ_WRITE, MAP_SHARED, fd);
    mapping = map(PROT_READ, MAP_SHARED, fd);
    close(fd);
    keep(first);
    REQUIRE(munmap(first, BYTES) == 0);
}

static void other_process(void)
{
    int status;
    char *word = NULL;
    mapping = map(READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    keep(&word);
    pid_t child = fork();
    if (child == 0) {
        memcpy(mapping + PAGE, &word, sizeof word);
        _exit(0);
    }
    REQUIRE(waitpid(child, &status, 0) == child && status == 0);
}

static void wait_here(void *argument)
{
    LEFTOVER(char *, buffer);
    (void)argument;
    *buffer = NULL;
    keep((void *)buffer);
    swapcontext(&coroutine, &scheduler);
    fill(*buffer, 1000);
}

static void body(void)
{
    mapping = map(READ_WRITE, PRIVATE, -1);
    coroutine_make(&coroutine, mapping, BYTES, &scheduler, wait_here, NULL);
    swapcontext(&scheduler, &coroutine);
    REQUIRE(mprotect(mapping, BYTES, PROT_NONE) == 0);
}

static void body_shared(void)
{
    mapping = map(READ_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
    coroutine_make(&coroutine, mapping, BYTES, &scheduler, wait_here, NULL);
    swapcontext(&scheduler, &coroutine);
    REQUIRE(madvise(mapping, BYTES, MADV_DONTNEED) == 0);
}

static void shrunk(void)
{
    int fd = file_make(false);
    mapping = map(READ_WRITE, MAP_SHARED, fd);
    keep(mapping);
    mapping[8 * PAGE] = 1;
    REQUIRE(ftruncate(fd, PAGE) == 0);
}

static void reserved(void)
{
    REQUIRE(mmap(NULL, (size_t)1 << 42, PROT_NONE, PRIVATE | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    REQUIRE(mmap(NULL, (size_t)1 << 36, READ_WRITE, PRIVATE | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    closed();
}

/* Answers 77 where the kernel has no such advice. */
static void guard_install(char *page)
{
    if (madvise(page, PAGE, GUARD_INSTALL) != 0)
        exit(77);
}

static void guard(void)
{
    mapping = map(READ_WRITE, PRIVATE, -1);
    memset(mapping, 0, BYTES);
    guard_install(mapping + 2 * PAGE);
    keep(mapping + 3 * PAGE);
}

static void guard_heap(void)
{
    kept_block = aligned_alloc(PAGE, 4 * PAGE);
    memset(kept_block, 0, 4 * PAGE);
    guard_install(kept_block + PAGE);
    keep(kept_block + 2 * PAGE);
}

static void unprivileged(void)
{
    enum { NOBODY = 65534 };
    keep(module_data + PAGE);
    REQUIRE(mprotect(module_data + PAGE, PAGE, PROT_READ) == 0);
    REQUIRE(setgroups(0, NULL) == 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
}

static void device(void)
{
    struct tpacket_req ring = {
        .tp_block_size = BYTES, .tp_block_nr = 1, .tp_frame_size = 2048, .tp_frame_nr = 32};
    char *word = NULL;
    int fd = socket(AF_PACKET, SOCK_RAW, htons(0));
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) != 0 ||
        mmap(NULL, BYTES, READ_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
        exit(77);
    keep(&word);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*make)(void);
    } kinds[] = {
        {"closed", closed},
        {"closed_shared", closed_shared},
        {"data", data},
        {"heap", heap},
        {"given_back", given_back},
        {"file", file},
        {"written", written},
        {"other_mapping", other_mapping},
        {"other_process", other_process},
        {"body", body},
        {"body_shared", body_shared},
        {"shrunk", shrunk},
        {"reserved", reserved},
        {"guard", guard},
        {"guard_heap", guard_heap},
        {"unprivileged", unprivileged},
        {"device", device},
    };
    REQUIRE(argc > 1);
    is_twin = said(argv, "twin");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(argv[1], kinds[i].name) == 0)
            kinds[i].make();
    wipe();
    return 0;
}
