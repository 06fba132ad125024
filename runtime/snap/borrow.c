/*
 * Borrows descriptors.  See borrow.h.
 */
#include "snap/borrow.h"
#include "base/sys.h"
#include "coro/thread.h"
#include "snap/task.h"

#include <fcntl.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434 /* Linux 5.3; the same number on all architectures, like the next */
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438 /* Linux 5.6 */
#endif

static int process = -1; /* a pidfd of this process, or of one of its threads */
static char folder[32] = "self";

/* A thread that has the program's table; 0: none is known. */
static int owner_find(void)
{
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        struct crn_task_state state = {.is_nobody = true};
        const struct crn_thread *thread = crn_thread_at(i);
        if (thread->state != CRN_THREAD_FREE && thread->tid != 0)
            crn_task_look(thread->tid, &state);
        if (!state.is_nobody)
            return thread->tid;
    }
    return 0;
}

/*
 * When the first thread has ended, the table that the process itself shows is gone with it: one of
 * the others has it, too.
 */
bool crn_borrow_begin(void)
{
    enum { OF_A_THREAD = O_EXCL }; /* PIDFD_THREAD, Linux 6.9 */
    struct crn_task_state state;
    int pid = crn_sys_getpid(), tid = 0;
    crn_task_look(pid, &state);
    if (state.is_nobody && (tid = owner_find()) == 0)
        return false;
    process = tid == 0 ? (int)crn_syscall2(SYS_pidfd_open, pid, 0)
                       : (int)crn_syscall2(SYS_pidfd_open, tid, OF_A_THREAD);
    __builtin_snprintf(folder, sizeof folder, tid == 0 ? "self" : "self/task/%d", tid);
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
    return process < 0 ? "thread-self" : folder;
}
