/*
 * Files of /proc, line by line.  See proc.h.
 */
#include "snap/proc.h"
#include "base/held.h"
#include "base/sys.h"

#include <string.h>

bool crn_kernel_lines(const char *name, char *text, void (*visit)(const char *line, void *user),
                      void *user)
{
    size_t used = 0;
    long count;
    int fd = crn_proc_open(name);
    if (fd < 0)
        return false;
    const size_t most = CRN_KERNEL_TEXT_BYTES - 1;
    while ((count = crn_syscall3(SYS_read, fd, text + used, most - used)) > 0) {
        used += (size_t)count;
        text[used] = 0;
        char *line = text;
        for (char *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
            *end = 0;
            visit(line, user);
        }
        used -= (size_t)(line - text);
        memmove(text, line, used);
        if (used == most)
            used = 0;
    }
    crn_proc_close(fd);
    return true;
}
