/*
 * mmap, munmap, mremap, mprotect and sigaltstack answer what the kernel answers, errno included.
 *
 * BUILD:  once
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    $CASE
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <errno.h>

enum { BYTES = 1 << 16, PRIVATE = MAP_PRIVATE | MAP_ANONYMOUS, READ_WRITE = PROT_READ | PROT_WRITE };

#define REFUSED(call, why) REQUIRE((errno = 0, (long)(call) == -1) && errno == (why))

int main(void)
{
    char *page = mmap(NULL, BYTES, READ_WRITE, PRIVATE | MAP_STACK, -1, 0);
    char small[64];
    REQUIRE(page != MAP_FAILED);
    REFUSED(mmap(NULL, 0, READ_WRITE, PRIVATE, -1, 0), EINVAL);
    REFUSED(mmap(NULL, 4096, READ_WRITE, MAP_PRIVATE, -1, 0), EBADF);
    REFUSED(mmap(NULL, 4096, READ_WRITE, PRIVATE, -1, 5), EINVAL);
    REFUSED(mmap(NULL, (size_t)1 << 60, READ_WRITE, PRIVATE, -1, 0), ENOMEM);
    REFUSED(munmap(page + 1, 4096), EINVAL);
    REFUSED(munmap(page, 0), EINVAL);
    REFUSED(mprotect(page + 1, 4096, PROT_NONE), EINVAL);
    REFUSED(mprotect((void *)4096, 4096, PROT_NONE), ENOMEM);
    REFUSED(mremap(page + 1, 4096, 4096, 0), EINVAL);
    REFUSED(mremap(page, BYTES, 2 * BYTES, MREMAP_FIXED, page), EINVAL);
    REFUSED(mremap(page, BYTES, 0, MREMAP_MAYMOVE), EINVAL);
    REQUIRE(mremap(page, BYTES, BYTES / 2, 0) == page);
    page = mremap(page, BYTES / 2, 8 * BYTES, MREMAP_MAYMOVE);
    REQUIRE(page != MAP_FAILED);
    page[8 * BYTES - 1] = 1;

    stack_t wanted = {.ss_sp = small, .ss_size = sizeof small}, *volatile nowhere = (void *)8;
    REFUSED(sigaltstack(&wanted, NULL), ENOMEM);
    REFUSED(sigaltstack(nowhere, NULL), EFAULT);
    wanted = (stack_t){.ss_sp = page, .ss_size = BYTES};
    REFUSED(sigaltstack(&wanted, nowhere), EFAULT); /* and has been set */
    stack_t other = {.ss_flags = SS_DISABLE}, *volatile same = &other;
    REQUIRE(sigaltstack(&other, same) == 0); /* one for both */
    REQUIRE(other.ss_sp == page && other.ss_size == BYTES && other.ss_flags == 0);
    REQUIRE(sigaltstack(NULL, &other) == 0 && other.ss_flags == SS_DISABLE);
    REQUIRE(munmap(page, 8 * BYTES) == 0);
    return 0;
}
