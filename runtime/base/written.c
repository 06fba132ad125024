/*
 * Pages that a forked child wrote.  See written.h; the kernel's admin-guide/mm/pagemap.rst,
 * ksm.rst.
 */
#include "base/written.h"
#include "base/held.h"
#include "base/pages.h"
#include "base/sys.h"

#include <fcntl.h>

/*
 * A page for each generation of forks, since a child must not write to its parent's: that would
 * make the parent's exclusive.  Later generations have none.
 */
enum { GENERATIONS_MAX = 64 };
static char canaries[GENERATIONS_MAX][CRN_PAGE_BYTES] __attribute__((aligned(CRN_PAGE_BYTES)));
static unsigned generation;

void crn_written_after_fork(void)
{
    if (generation < GENERATIONS_MAX)
        generation++;
    if (generation < GENERATIONS_MAX)
        *(volatile char *)canaries[generation] = 1;
}

/* Whether the file says 0, as a line of its own. */
static bool is_zero(int fd)
{
    char text[8];
    return crn_sys_read_all(fd, text, sizeof text) == 2 && text[0] == '0' && text[1] == '\n';
}

/* Whether no page of this process can have been merged with another one's. */
static bool is_unmerged(void)
{
    int fd = crn_proc_open("self/ksm_merging_pages"); /* Linux 5.19 */
    bool is_so = fd >= 0 && is_zero(fd);
    bool is_told = fd >= 0;
    crn_proc_close(fd);
    if (is_told)
        return is_so;
    fd = crn_sys_open_read("/sys/kernel/mm/ksm/pages_shared");
    if (fd < 0) /* a kernel without KSM, if there is anything to see */
        return crn_syscall3(SYS_faccessat, AT_FDCWD, "/sys/kernel/mm/transparent_hugepage", 0) == 0;
    is_so = is_zero(fd);
    crn_syscall1(SYS_close, fd);
    return is_so;
}

bool crn_written_is_told(void)
{
    return generation > 0 && generation < GENERATIONS_MAX &&
           crn_pages_is_exclusive((uintptr_t)canaries[generation]) && is_unmerged();
}
