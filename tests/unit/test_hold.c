/* Clocks and signals while a check has them held. */
#include "check/hold.h"
#include "base/sys.h"

#include <criterion/criterion.h>
#include <signal.h>

static volatile sig_atomic_t deliveries;

static void count(int signal)
{
    (void)signal;
    deliveries++;
}

static void burn(uint64_t ns)
{
    struct timespec now;
    uint64_t begun = 0;
    do {
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        uint64_t at = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        begun = begun == 0 ? at : begun;
        ns = at - begun >= ns ? 0 : ns;
    } while (ns > 0);
}

Test(hold, no_timer_fires_while_clocks_stand_still)
{
    static struct crn_clocks clocks;
    struct itimerval soon = {.it_value = {0, 20000}};
    struct itimerspec posix_soon = {.it_value = {0, 20000000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
    timer_t timer;
    signal(SIGUSR2, count);
    signal(SIGALRM, count);
    signal(SIGPROF, count);
    signal(SIGVTALRM, count);
    cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
    uint64_t mask = crn_signals_hold();
    setitimer(ITIMER_REAL, &soon, NULL);
    setitimer(ITIMER_PROF, &soon, NULL);
    setitimer(ITIMER_VIRTUAL, &soon, NULL);
    timer_settime(timer, 0, &posix_soon, NULL);
    crn_clocks_stop(&clocks);
    crn_signals_let(mask);
    int so_far = deliveries; /* on a slow machine one may have been too early */
    burn(100000000);
    cr_assert_eq(deliveries, so_far);
    crn_clocks_go_on(&clocks);
    burn(100000000);
    cr_assert_eq(deliveries, 4);
}

Test(hold, what_was_left_of_a_timer_is_left)
{
    static struct crn_clocks clocks;
    struct itimerval later = {.it_value = {1000, 0}, .it_interval = {7, 0}}, left;
    setitimer(ITIMER_PROF, &later, NULL);
    crn_clocks_stop(&clocks);
    getitimer(ITIMER_PROF, &left);
    cr_assert_eq(left.it_value.tv_sec, 0);
    crn_clocks_go_on(&clocks);
    getitimer(ITIMER_PROF, &left);
    cr_assert_geq(left.it_value.tv_sec, 990);
    cr_assert_eq(left.it_interval.tv_sec, 7);
}

Test(hold, the_soft_limit_of_processor_time_is_as_much_later_as_we_took)
{
    static struct crn_clocks clocks;
    struct rlimit limit = {1000, 5000};
    cr_assert_eq(setrlimit(RLIMIT_CPU, &limit), 0);
    crn_clocks_stop(&clocks);
    getrlimit(RLIMIT_CPU, &limit);
    cr_assert_eq(limit.rlim_cur, 5000);
    burn(10000000);
    crn_clocks_go_on(&clocks);
    getrlimit(RLIMIT_CPU, &limit);
    cr_assert(limit.rlim_cur >= 1001 && limit.rlim_cur < 1010);
    cr_assert_eq(limit.rlim_max, 5000);
}

Test(hold, signals_come_when_they_are_let)
{
    signal(SIGTERM, count);
    signal(SIGUSR1, count);
    uint64_t mask = crn_signals_hold();
    raise(SIGTERM);
    raise(SIGUSR1);
    cr_assert_eq(deliveries, 0);
    crn_signals_let(mask);
    cr_assert_eq(deliveries, 2);
}

Test(hold, at_the_very_end_only_signals_of_writing_come)
{
    signal(SIGTERM, count);
    signal(SIGPIPE, count);
    uint64_t mask = crn_signals_hold();
    crn_signals_let_writing(mask);
    raise(SIGTERM);
    raise(SIGPIPE);
    cr_assert_eq(deliveries, 1);
}
