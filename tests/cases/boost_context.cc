/*
 * Fibers of Boost.Context, which are suspended by jump_fcontext: the handle is the saved stack
 * pointer, and the control data lies on top of the stack.  Held, they are live; with the object
 * that holds the handle lost, they are abandoned.
 *
 * BUILD: with boost/context/fiber.hpp
 * FLAGS: -lboost_context
 *
 * RUN:    coroner run --format=json --output=report.json $CASE protected
 * ROW:    B1
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE protected dropped
 * ROW:    B1 twin
 * EXPECT: abandoned  blocks=1 bytes=1600 allocated_in=make_message mechanism=fcontext
 * EXPECT: abandoned|lost  blocks=1 bytes=8 allocated_in=fiber_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fixed
 * ROW:    B2
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fixed dropped
 * ROW:    B2 twin
 * EXPECT: abandoned  blocks=1 bytes=1600 allocated_in=make_message mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=65536 \
 *                    allocated_in=boost::context::basic_fixedsize_stack<boost::context::stack_traits>::allocate
 * EXPECT: abandoned|lost  blocks=1 bytes=8 allocated_in=fiber_new
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <boost/context/protected_fixedsize_stack.hpp>

namespace context = boost::context;

GLOBAL context::fiber *fiber;

NOINLINE static char *make_message()
{
    char *message = static_cast<char *>(malloc(1600));
    fill(message, 1600);
    return message;
}

NOINLINE static context::fiber *fiber_new(context::fiber &&started)
{
    return new context::fiber(std::move(started));
}

static context::fiber chat(context::fiber &&caller)
{
    char *volatile message = make_message();
    caller = std::move(caller).resume();
    free(message);
    return std::move(caller);
}

template <typename Stack> NOINLINE static void start()
{
    fiber = fiber_new(context::fiber(std::allocator_arg, Stack(STACK_BYTES), chat).resume());
}

int main(int, char **argv)
{
    if (said(argv, "protected"))
        start<context::protected_fixedsize_stack>();
    else
        start<context::fixedsize_stack>();
    if (said(argv, "dropped"))
        fiber = nullptr;
    wipe();
    return 0;
}
