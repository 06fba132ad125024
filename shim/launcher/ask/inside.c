/*
 * Files as another process sees them.  See inside.h.
 */
#include "shim/launcher/ask/inside.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Component by component, and no link is followed: for kernels before openat2 (5.6). */
static int walk(int root, const char *path, int flags)
{
    int at = fcntl(root, F_DUPFD_CLOEXEC, 0);
    while (at >= 0 && *path != 0) {
        char name[256];
        path += strspn(path, "/");
        size_t length = strcspn(path, "/");
        bool is_last = path[length] == 0;
        if (length == 0)
            break;
        if (length >= sizeof name || (length <= 2 && strncmp(path, "..", length) == 0)) {
            close(at);
            errno = EINVAL;
            return -1;
        }
        memcpy(name, path, length);
        name[length] = 0;
        path += length;
        int next =
            openat(at, name, O_NOFOLLOW | O_CLOEXEC | (is_last ? flags : O_PATH | O_DIRECTORY));
        int error = errno;
        close(at);
        errno = error;
        at = next;
    }
    return at;
}

int crn_inside_open(int root, const char *path, int flags)
{
    struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC),
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof how);
    if (fd < 0 && (errno == ENOSYS || errno == EPERM))
        fd = walk(root, path, flags);
    return fd;
}
