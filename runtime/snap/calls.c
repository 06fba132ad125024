/*
 * The table of blocking calls.  See calls.h.
 *
 * From signal(7) and the kernel's source: RESTARTED is -ERESTARTSYS there, BLOCK is
 * -ERESTART_RESTARTBLOCK, the rest is -ERESTARTNOHAND or a plain -EINTR.  What returns
 * -ERESTARTNOINTR (fork, FUTEX_LOCK_PI) never ends early and has no row.  close(2) has none either:
 * its descriptor is gone already.
 */
#include "snap/calls.h"
#include "base/sys.h"

#include <linux/futex.h>
#include <time.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* Linux 5.16; the same number on all architectures */
#endif

static const struct crn_call_row calls[] = {
    {SYS_read, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_readv, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_recvfrom, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_recvmsg, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_recvmmsg, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_accept, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_accept4, CRN_CALL_RECEIVES, 0, 0, 0},
    {SYS_write, CRN_CALL_SENDS, 0, 0, 0},
    {SYS_writev, CRN_CALL_SENDS, 0, 0, 0},
    {SYS_sendto, CRN_CALL_SENDS, 0, 0, 0},
    {SYS_sendmsg, CRN_CALL_SENDS, 0, 0, 0},
    {SYS_sendmmsg, CRN_CALL_SENDS, 0, 0, 0},
    {SYS_connect, CRN_CALL_CONNECTS, 0, 0, 0},

    {SYS_openat, CRN_CALL_RESTARTED, 0, 0, 0}, /* a FIFO */
    {SYS_ioctl, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_wait4, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_waitid, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_flock, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_fcntl, CRN_CALL_RESTARTED, 0, 0, 0}, /* F_SETLKW, F_OFD_SETLKW */
    {SYS_mq_timedsend, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_mq_timedreceive, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_futex_waitv, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_splice, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_tee, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_vmsplice, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_sendfile, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_getrandom, CRN_CALL_RESTARTED, 0, 0, 0},

    {SYS_rt_sigsuspend, CRN_CALL_AGAIN, 0, CRN_MASK_SET, 0},
    {SYS_pselect6, CRN_CALL_LEFT, 4, CRN_MASK_PAIR, 5},
    {SYS_ppoll, CRN_CALL_LEFT, 2, CRN_MASK_SET, 3},
    {SYS_semop, CRN_CALL_AGAIN, 0, 0, 0},
    {SYS_msgsnd, CRN_CALL_AGAIN, 0, 0, 0},
    {SYS_msgrcv, CRN_CALL_AGAIN, 0, 0, 0},
    {SYS_fallocate, CRN_CALL_AGAIN, 0, 0, 0}, /* tmpfs */
#ifdef SYS_pause
    {SYS_pause, CRN_CALL_AGAIN, 0, 0, 0},
    {SYS_select, CRN_CALL_LEFT_US, 4, 0, 0},
    {SYS_open, CRN_CALL_RESTARTED, 0, 0, 0},
    {SYS_poll, CRN_CALL_BLOCK, 0, 0, 0},
    {SYS_epoll_wait, CRN_CALL_MS, 3, 0, 0},
#endif
    {SYS_nanosleep, CRN_CALL_BLOCK, 0, 0, 0},
    {SYS_clock_nanosleep, CRN_CALL_BLOCK, 0, 0, 0}, /* see crn_call_find */
    {SYS_futex, CRN_CALL_BLOCK, 0, 0, 0},           /* likewise */
    {SYS_restart_syscall, CRN_CALL_BLOCK, 0, 0, 0},

    {SYS_epoll_pwait, CRN_CALL_MS, 3, CRN_MASK_SET, 4},
    {SYS_epoll_pwait2, CRN_CALL_TIMESPEC, 3, CRN_MASK_SET, 4},
    {SYS_rt_sigtimedwait, CRN_CALL_TIMESPEC, 2, 0, 0},
    {SYS_semtimedop, CRN_CALL_TIMESPEC, 3, 0, 0},
    {SYS_io_getevents, CRN_CALL_TIMESPEC, 4, 0, 0},
    {SYS_io_pgetevents, CRN_CALL_TIMESPEC, 4, CRN_MASK_PAIR, 5},
    {SYS_io_uring_enter, CRN_CALL_URING_WAIT, 4, 0, 0},
};

struct crn_call_row crn_call_find(long number, const uintptr_t arguments[6])
{
    struct crn_call_row row = {.kind = CRN_CALL_UNKNOWN};
    for (unsigned i = 0; i < CRN_COUNT_OF(calls); i++)
        if (calls[i].number == number)
            row = calls[i];
    if (number == SYS_clock_nanosleep && (arguments[1] & TIMER_ABSTIME) != 0)
        row.kind = CRN_CALL_AGAIN;
    if (number == SYS_futex) {
        int operation = (int)arguments[1] & FUTEX_CMD_MASK;
        if (operation == FUTEX_WAIT_BITSET && arguments[3] != 0)
            row.kind = CRN_CALL_AGAIN; /* its limit is absolute */
        else if ((operation == FUTEX_WAIT || operation == FUTEX_WAIT_BITSET) && arguments[3] == 0)
            row.kind = CRN_CALL_RESTARTED;
        else if (operation != FUTEX_WAIT)
            row.kind = CRN_CALL_UNKNOWN;
    }
    return row;
}
