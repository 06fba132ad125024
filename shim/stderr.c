/*
 * Finds out whether words may go to descriptor 2.  See stderr.h.
 */
#include "shim/stderr.h"
#include "base/base.h"
#include "base/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

enum { COPY_FROM = 230 }; /* where a program seldom looks */

struct identity {
    uint64_t inode, device;
};

static struct identity first_out, first, copied;
static int copy = -1;

static bool status_get(int fd, struct stat *status)
{
    return fd >= 0 && crn_syscall2(SYS_fstat, fd, status) == 0;
}

/* Where a sandbox keeps us from asking, it is taken to be. */
static bool is_same(int fd, const struct identity *identity)
{
    struct stat status;
    if (identity->inode != 0 && fd >= 0 && crn_syscall2(SYS_fstat, fd, &status) == -EPERM)
        return true;
    return status_get(fd, &status) && status.st_ino == identity->inode &&
           status.st_dev == identity->device;
}

static bool is_terminal(int fd)
{
    char settings[256]; /* the kernel's struct termios is smaller */
    return crn_syscall3(SYS_ioctl, fd, TCGETS, settings) == 0;
}

/*
 * Whether descriptor 2 may be standard error, though it is not the one that the program began with.
 * The program may have sent it elsewhere, to a log; or it closed it, and the next file, or a
 * connection to somebody, got the number.  What is only written to, in order, may bear our words.
 * A report into /dev/null would be none.
 */
static bool is_for_words(int fd)
{
    struct stat status;
    long flags = crn_syscall2(SYS_fcntl, fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || !status_get(fd, &status))
        return false;
    bool is_write_only = (flags & O_ACCMODE) == O_WRONLY;
    switch (status.st_mode & S_IFMT) {
    case S_IFREG:
        return is_write_only || (flags & O_APPEND) != 0;
    case S_IFIFO:
        return is_write_only;
    case S_IFCHR:
        return is_terminal(fd) || (is_write_only && status.st_rdev != makedev(1, 3));
    default:
        return false;
    }
}

void crn_stderr_note(void)
{
    struct stat status;
    if (status_get(1, &status))
        first_out = (struct identity){status.st_ino, status.st_dev};
    if (status_get(2, &status))
        first = (struct identity){status.st_ino, status.st_dev};
}

bool crn_stdout_is_there(void)
{
    return is_same(1, &first_out) || is_for_words(1);
}

void crn_stderr_hold(void)
{
    struct stat status;
    int fd = crn_stderr_find();
    if (fd != 2 || !status_get(fd, &status))
        return;
    copied = (struct identity){status.st_ino, status.st_dev};
    copy = (int)crn_syscall3(SYS_fcntl, fd, F_DUPFD_CLOEXEC, COPY_FROM);
}

void crn_stderr_after_fork(void)
{
    if (copy < 0)
        return;
    crn_syscall1(SYS_close, copy);
    copy = -1;
}

int crn_stderr_find(void)
{
    if (copy >= 0 && is_same(copy, &copied))
        return copy;
    return is_same(2, &first) || is_for_words(2) ? 2 : -1;
}
