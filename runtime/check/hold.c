/*
 * Holds signals and clocks.  See hold.h.
 */
#include "check/hold.h"
#include "base/sys.h"
#include "base/vm.h"
#include "snap/proc.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const struct itimerspec stopped_timer;
static const struct itimerval stopped_interval;

static uint64_t bit(int signal)
{
    return UINT64_C(1) << (signal - 1);
}

/* Faults reach the program's handlers, and our own while we read its memory. */
static uint64_t all_but_faults(void)
{
    return ~(bit(SIGSEGV) | bit(SIGBUS) | bit(SIGILL) | bit(SIGFPE) | bit(SIGTRAP));
}

static uint64_t mask_set(int how, uint64_t mask)
{
    uint64_t before = 0;
    crn_syscall4(SYS_rt_sigprocmask, how, &mask, &before, sizeof mask);
    return before;
}

uint64_t crn_signals_hold(void)
{
    return mask_set(SIG_BLOCK, all_but_faults());
}

void crn_signals_let(uint64_t mask_before)
{
    mask_set(SIG_SETMASK, mask_before);
}

void crn_signals_let_writing(uint64_t mask_before)
{
    const uint64_t writing = bit(SIGPIPE) | bit(SIGXFSZ) | bit(SIGTTOU);
    mask_set(SIG_UNBLOCK, writing & ~mask_before);
}

static uint64_t processor_time_ns(void)
{
    struct timespec now = {0, 0};
    crn_syscall2(SYS_clock_gettime, CLOCK_PROCESS_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void timer_stop(const char *line, void *user)
{
    static const char label[] = "ID: ";
    struct crn_clocks *clocks = user;
    struct itimerspec left;
    if (strncmp(line, label, sizeof label - 1) != 0 || clocks->timer_count == CRN_TIMERS_MAX)
        return;
    int id = atoi(line + sizeof label - 1);
    if (crn_syscall4(SYS_timer_settime, id, 0, &stopped_timer, &left) != 0 ||
        (left.it_value.tv_sec == 0 && left.it_value.tv_nsec == 0))
        return;
    clocks->timers[clocks->timer_count].id = id;
    clocks->timers[clocks->timer_count++].left = left;
}

void crn_clocks_stop(struct crn_clocks *clocks)
{
    char *text = crn_vm_map(CRN_KERNEL_TEXT_BYTES);
    memset(clocks, 0, sizeof *clocks);
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
        crn_syscall3(SYS_setitimer, which, &stopped_interval, &clocks->intervals[which]);
    if (text != NULL) {
        crn_kernel_lines("self/timers", text, timer_stop, clocks); /* proc(5) */
        crn_vm_unmap(text, CRN_KERNEL_TEXT_BYTES);
    }
    clocks->processor.rlim_cur = RLIM_INFINITY;
    crn_syscall4(SYS_prlimit64, 0, RLIMIT_CPU, NULL, &clocks->processor);
    if (clocks->processor.rlim_cur == RLIM_INFINITY)
        return;
    const struct rlimit held = {clocks->processor.rlim_max, clocks->processor.rlim_max};
    clocks->processor_ns = processor_time_ns();
    crn_syscall4(SYS_prlimit64, 0, RLIMIT_CPU, &held, NULL);
}

void crn_clocks_go_on(const struct crn_clocks *clocks)
{
    const uint64_t second_ns = 1000000000u;
    if (clocks->processor.rlim_cur != RLIM_INFINITY) {
        uint64_t taken_ns = processor_time_ns() - clocks->processor_ns;
        struct rlimit later = clocks->processor;
        later.rlim_cur += (taken_ns + second_ns - 1) / second_ns;
        if (later.rlim_cur > later.rlim_max)
            later.rlim_cur = later.rlim_max;
        crn_syscall4(SYS_prlimit64, 0, RLIMIT_CPU, &later, NULL);
    }
    for (unsigned i = 0; i < clocks->timer_count; i++)
        crn_syscall4(SYS_timer_settime, clocks->timers[i].id, 0, &clocks->timers[i].left, NULL);
    for (int which = ITIMER_REAL; which <= ITIMER_PROF; which++)
        if (clocks->intervals[which].it_value.tv_sec != 0 ||
            clocks->intervals[which].it_value.tv_usec != 0)
            crn_syscall3(SYS_setitimer, which, &clocks->intervals[which], NULL);
}
