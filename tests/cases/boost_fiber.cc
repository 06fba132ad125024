/*
 * Fibers of Boost.Fiber that are never resumed: one waits for an event that nobody else knows (the
 * scheduler lists it among its workers, which resumes nobody), another one was taken off its thread
 * by a scheduling algorithm that forgot it.  Both are abandoned.  With the event known outside, or
 * in the ready queue, they are live.
 *
 * One that has finished and is never joined keeps its stack as long as its object is held, and what
 * lies there is completed; in the twin it freed its letter.
 *
 * BUILD: with boost/fiber/all.hpp
 * FLAGS: -lboost_fiber -lboost_context
 *
 * RUN:    coroner run --format=json --output=report.json $CASE event
 * ROW:    B4
 * EXPECT: abandoned  blocks=1 bytes=1800 allocated_in=make_letter mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=65536 \
 *                    allocated_in=boost::context::basic_fixedsize_stack<boost::context::stack_traits>::allocate
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE event shared
 * ROW:    B4 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE waiting forgotten
 * ROW:    B4
 * EXPECT: abandoned  blocks=1 bytes=1800 allocated_in=make_letter mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=65536 \
 *                    allocated_in=boost::context::basic_fixedsize_stack<boost::context::stack_traits>::allocate
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE waiting
 * ROW:    B4 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE finished
 * ROW:    B5
 * EXPECT: completed  blocks=1 bytes=1800 allocated_in=make_letter mechanism=fcontext
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE finished freed
 * ROW:    B5 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <boost/fiber/all.hpp>
#include <mutex>

namespace fibers = boost::fibers;

GLOBAL fibers::fiber *finished;
GLOBAL fibers::condition_variable *shared_event;
GLOBAL bool loses, frees, shares;

/* What Boost's shared_work does too: takes a fiber that is ready off its thread. */
struct forgetful : fibers::algo::round_robin {
    void awakened(fibers::context *context) noexcept override
    {
        if (loses && !context->is_context(fibers::type::pinned_context))
            context->detach(); /* and forgets it */
        else
            round_robin::awakened(context);
    }
};

NOINLINE static char *make_letter()
{
    char *letter = static_cast<char *>(malloc(1800));
    fill(letter, 1800);
    return letter;
}

NOINLINE static void write_letter()
{
    LEFTOVER(char *, letter);
    *letter = make_letter();
    boost::this_fiber::yield();
    if (frees)
        free(*letter);
}

NOINLINE static void wait_for_reply()
{
    char *volatile letter = make_letter();
    boost::this_fiber::yield();
    free(letter);
}

/* Who could notify it? Only whoever knows the event. */
NOINLINE static void wait_for_event()
{
    char *volatile letter = make_letter();
    fibers::mutex mutex;
    fibers::condition_variable event;
    std::unique_lock<fibers::mutex> lock(mutex);
    if (shares)
        shared_event = &event;
    event.wait(lock);
    free(letter);
}

static fibers::fiber launch(void (*function)())
{
    return fibers::fiber(fibers::launch::dispatch, std::allocator_arg,
                         fibers::fixedsize_stack(STACK_BYTES), function);
}

NOINLINE static void run(char **argv)
{
    fibers::use_scheduling_algorithm<forgetful>();
    /* The scheduler's own fiber starts here, so that none of ours is in a register then. */
    boost::this_fiber::sleep_for(std::chrono::milliseconds(1));
    loses = said(argv, "forgotten");
    frees = said(argv, "freed");
    shares = said(argv, "shared");
    if (said(argv, "event")) {
        launch(wait_for_event).detach();
    } else if (said(argv, "waiting")) {
        launch(wait_for_reply).detach();
    } else {
        finished = new fibers::fiber(launch(write_letter));
        for (int i = 0; i < 3; i++)
            boost::this_fiber::yield();
    }
}

int main(int, char **argv)
{
    run(argv);
    wipe();
    if (said(argv, "event"))
        quick_exit(0); /* the scheduler would wait for the fiber */
    return 0;
}
