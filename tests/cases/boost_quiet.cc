/*
 * A fiber of Boost's on whose stack nothing ever allocated or freed: nothing tells of it but its
 * stack, which looks like one.
 *
 * BUILD: with boost/context/fiber.hpp
 * FLAGS: -lboost_context
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE dropped
 * EXPECT: abandoned       blocks=1 bytes=1700 allocated_in=make_letter mechanism=fcontext
 * EXPECT: abandoned       blocks=1 bytes=65536 allocated_in=boost::context::basic_fixedsize_stack<boost::context::stack_traits>::allocate
 * EXPECT: abandoned|lost  blocks=1 bytes=8 allocated_in=start
 * EXPECT: summary         coroutines.abandoned=1
 * EXPECT: exit            status=23
 */
#include "case.h"

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>

namespace context = boost::context;

GLOBAL context::fiber *kept;
GLOBAL char *letter;

NOINLINE static char *make_letter()
{
    char *made = static_cast<char *>(malloc(1700));
    fill(made, 1700);
    return made;
}

NOINLINE static void start(bool drops)
{
    letter = make_letter();
    auto *fiber = new context::fiber(
        std::allocator_arg, context::fixedsize_stack(STACK_BYTES), [](context::fiber &&caller) {
            char *volatile own = letter;
            letter = nullptr;
            caller = std::move(caller).resume();
            free(own);
            return std::move(caller);
        });
    *fiber = std::move(*fiber).resume();
    if (drops)
        memset(static_cast<void *>(fiber), 0, sizeof *fiber);
    else
        kept = fiber;
}

int main(int, char **argv)
{
    start(said(argv, "dropped"));
    wipe();
    _exit(0); /* kept has no owner that could resume it */
}
