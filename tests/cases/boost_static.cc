/*
 * As boost_context.cc, with Boost.Context linked statically.
 *
 * BUILD: with boost/context/fiber.hpp
 * FLAGS: -Wl,-Bstatic -lboost_context -Wl,-Bdynamic
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
#include "boost_context.cc"
