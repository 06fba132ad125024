/*
 * Borrows descriptors.  See borrow.h.
 */
#include "snap/borrow.h"
#include "base/sys.h"
#include "snap/task.h"

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* Linux 5.3; the same number on all architectures, like the next */
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6 */
#endif

static int process = -1; /* a pidfd of this process */

bool crn_borrow_begin(void)
{
    struct crn_task_state state;
    int pid = crn_sys_getpid();
    crn_task_look(pid, &state);
    if (state.is_nobody)
        return false; /* the first thread has ended: the table that /proc shows is gone with it */
    process = (int)crn_syscall2(SYS_pidfd_open, pid, 0);
    return process >= 0;
}

void crn_borrow_end(void)
{
    if (process >= 0)
        crn_syscall1(SYS_close, process);
    process = -1;
}

bool crn_borrows(void)
{
    return process >= 0;
}

int crn_borrow(int number)
{
    return process < 0 ? number : (int)crn_syscall3(SYS_pidfd_getfd, process, number, 0);
}

void crn_borrow_return(int fd)
{
    if (process >= 0 && fd >= 0)
        crn_syscall1(SYS_close, fd);
}

const char *crn_borrow_folder(void)
{
    return process < 0 ? "thread-self" : "self";
}
