/*
 * As much memory as the second argument says, in GiB, of which a page at each end is touched: by
 * malloc, by mmap, or by mmap in a process that may not ask the kernel which of its pages are there
 * ("unasked": it has changed its user, if it could, and made itself undumpable, past libc).  The
 * figure is how long the whole process takes.
 */
#include "growth.h"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "malloc";
    size_t bytes = (size_t)(argc > 2 ? atol(argv[2]) : 1) << 30;
    char *memory = strcmp(how, "malloc") == 0
                       ? malloc(bytes)
                       : mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(memory != NULL && memory != MAP_FAILED);
    memory[0] = memory[bytes - 1] = 1;
    if (strcmp(how, "unasked") == 0) {
        enum { NOBODY = 65534 };
        REQUIRE(getuid() != 0 || syscall(SYS_setuid, NOBODY) == 0);
        REQUIRE(syscall(SYS_prctl, PR_SET_DUMPABLE, 0) == 0);
    }
    return 0;
}
