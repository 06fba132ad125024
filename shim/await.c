/*
 * Waits for a check from outside.  See await.h.
 */
#include "shim/await.h"
#include "shim/state.h"
#include "base/sys.h"
#include "check/hold.h"
#include "live/live.h"
#include "snap/stop.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>

static bool pid_tell(const char *path)
{
    char line[16];
    int length = snprintf(line, sizeof line, "%d\n", crn_shim.process.pid);
    int fd = (int)crn_syscall4(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return false;
    bool is_told = crn_sys_write_all(fd, line, (size_t)length) == 0;
    crn_syscall1(SYS_close, fd);
    return is_told;
}

void crn_await_check(void)
{
    const uint64_t limit_ns = UINT64_C(30000000000), ours = CRN_STOP_SIGNAL_BIT;
    static struct crn_clocks clocks;
    uint32_t before = crn_live_finished();
    if (crn_shim.options.await_check[0] == 0 || crn_shim.phase != CRN_SHIM_ON)
        return;
    crn_clocks_stop(&clocks); /* a timer of the program's shall not fire for our waiting */
    crn_syscall4(SYS_rt_sigprocmask, SIG_UNBLOCK, &ours, NULL, sizeof ours);
    if (pid_tell(crn_shim.options.await_check))
        crn_live_await(before, limit_ns);
    crn_syscall4(SYS_rt_sigprocmask, SIG_BLOCK, &ours, NULL, sizeof ours);
    crn_clocks_go_on(&clocks);
}
