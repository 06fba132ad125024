/*
 * Boost.Fiber: contexts on top of the stacks they describe, all of them in a list of the scheduler.
 *
 * Healthy: 40 fibers, 100 yields each, and the dispatcher; 30 end, 10 wait for a condition.
 * `joined` lets all of them end and joins them; else the program ends as they are, the 30 ended
 * ones not joined and their `fiber` objects held.
 * Planted: 5 detached fibers that wait for a condition that lies in their own frames.
 *
 * FLAGS:  -l:libboost_fiber.so.1.81.0 -l:libboost_context.so.1.81.0
 *
 * RUN:    coroner run $CASE joined
 * EXPECT: none
 * EXPECT: summary coroutines.completed=0 coroutines.abandoned=0
 *
 * RUN:    coroner run $CASE
 * EXPECT: none
 * EXPECT: summary coroutines.seen=41 coroutines.suspended=11 coroutines.completed=30
 * EXPECT: coroutines mechanism=fcontext count=41
 *
 * RUN:    coroner run $CASE planted
 * EXPECT: abandoned total_blocks=10 mechanism=fcontext
 * EXPECT: abandoned blocks=5 bytes=5000 allocated_in=payload_new
 */
#include "../cases/case.h"

#include <boost/fiber/all.hpp>
#include <vector>

enum { WORKERS = 30, WAITERS = 10, PLANTED = 5, ROUNDS = 100 };

namespace fibers = boost::fibers;

static std::vector<fibers::fiber> *workers, *waiters;
static fibers::mutex mutex;
static fibers::condition_variable condition;
static bool is_over;
GLOBAL long total;

NOINLINE static char *payload_new(void)
{
    char *payload = static_cast<char *>(malloc(1000));
    fill(payload, 1000);
    return payload;
}

static void work_some(void)
{
    for (long i = 0; i < ROUNDS; i++) {
        total += i;
        boost::this_fiber::yield();
    }
}

static void wait_till_over(void)
{
    char *volatile payload = payload_new();
    work_some();
    std::unique_lock<fibers::mutex> lock(mutex);
    condition.wait(lock, [] { return is_over; });
    free(payload);
}

static void wait_for_ever(void)
{
    char *volatile payload = payload_new();
    fibers::mutex own_mutex;
    fibers::condition_variable own_condition;
    std::unique_lock<fibers::mutex> lock(own_mutex);
    own_condition.wait(lock);
    free(payload);
}

NOINLINE static void work(void)
{
    workers = new std::vector<fibers::fiber>;
    waiters = new std::vector<fibers::fiber>;
    for (int i = 0; i < WORKERS; i++)
        workers->emplace_back(work_some);
    for (int i = 0; i < WAITERS; i++)
        waiters->emplace_back(wait_till_over);
    for (int i = 0; i < ROUNDS + 2; i++)
        boost::this_fiber::yield();
}

NOINLINE static void join(void)
{
    {
        std::unique_lock<fibers::mutex> lock(mutex);
        is_over = true;
    }
    condition.notify_all();
    for (auto &fiber : *workers)
        fiber.join();
    for (auto &fiber : *waiters)
        fiber.join();
    delete workers;
    delete waiters;
}

NOINLINE static void plant(void)
{
    for (int i = 0; i < PLANTED; i++)
        fibers::fiber(wait_for_ever).detach();
    for (int i = 0; i < 3; i++)
        boost::this_fiber::yield();
}

int main(int argc, char **argv)
{
    (void)argc;
    if (said(argv, "planted"))
        plant();
    else
        work();
    if (said(argv, "joined"))
        join();
    printf("total %ld\n", total);
    fflush(stdout);
    wipe();
    _exit(0);
}
