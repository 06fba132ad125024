/* What the system calls of ours leave behind. */
#include "base/sys.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static volatile sig_atomic_t deliveries;

static void count(int signal)
{
    (void)signal;
    deliveries++;
}

/* The write end of a pipe that nobody reads. */
static int broken_pipe(void)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    return ends[1];
}

static bool is_pending(int signal)
{
    sigset_t pending;
    sigpending(&pending);
    return sigismember(&pending, signal) == 1;
}

static void block(int signal)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

Test(sys_write, a_pipe_without_a_reader_sends_no_signal)
{
    signal(SIGPIPE, count);
    cr_assert_eq(crn_sys_write_all(broken_pipe(), "x", 1), -EPIPE);
    cr_assert_eq(deliveries, 0);
}

Test(sys_write, nothing_stays_pending_where_the_program_blocks_the_signal)
{
    block(SIGPIPE);
    cr_assert_eq(crn_sys_write_all(broken_pipe(), "x", 1), -EPIPE);
    cr_assert_not(is_pending(SIGPIPE));
}

Test(sys_write, what_was_pending_before_is_pending_after)
{
    block(SIGPIPE);
    raise(SIGPIPE);
    cr_assert_eq(crn_sys_write_all(broken_pipe(), "x", 1), -EPIPE);
    cr_assert(is_pending(SIGPIPE));
}

Test(sys_write, a_file_that_may_not_grow_sends_no_signal)
{
    struct rlimit none = {0, 0};
    int fd = open(".", O_TMPFILE | O_WRONLY, 0600);
    cr_assert_geq(fd, 0);
    signal(SIGXFSZ, count);
    setrlimit(RLIMIT_FSIZE, &none);
    long result = crn_sys_write_all(fd, "x", 1);
    none.rlim_cur = none.rlim_max = RLIM_INFINITY;
    cr_assert_eq(result, -EFBIG);
    cr_assert_eq(deliveries, 0);
}

Test(sys_write, the_mask_is_as_before)
{
    sigset_t before, after;
    block(SIGTTOU);
    sigprocmask(SIG_BLOCK, NULL, &before);
    crn_sys_write_all(broken_pipe(), "x", 1);
    sigprocmask(SIG_BLOCK, NULL, &after);
    for (int signal = 1; signal < NSIG; signal++)
        cr_assert_eq(sigismember(&before, signal), sigismember(&after, signal));
}
