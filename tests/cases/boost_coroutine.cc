/*
 * A coroutine of Boost.Coroutine2 whose object is lost is abandoned; held, it is live, and
 * destroyed, it takes its stack along.  (Unwinding frees what destructors free: the table here is
 * lost then.)
 *
 * BUILD: with boost/coroutine2/all.hpp
 * FLAGS: -lboost_context
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fixed
 * ROW:    B3 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fixed lost
 * ROW:    B3
 * EXPECT: abandoned  blocks=1 bytes=1700 allocated_in=make_table mechanism=fcontext
 * EXPECT: abandoned  blocks=1 bytes=65536 \
 *                    allocated_in=boost::context::basic_fixedsize_stack<boost::context::stack_traits>::allocate
 * EXPECT: abandoned|lost  blocks=1 bytes=8 allocated_in=source_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE protected
 * ROW:    B3 twin
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE protected lost
 * ROW:    B3
 * EXPECT: abandoned  blocks=1 bytes=1700 allocated_in=make_table mechanism=fcontext
 * EXPECT: abandoned|lost  blocks=1 bytes=8 allocated_in=source_new
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE fixed destroyed
 * ROW:    B3 twin
 * EXPECT: lost       blocks=1 bytes=1700 allocated_in=make_table
 * EXPECT: exit       status=23
 */
#include "case.h"

#include <boost/coroutine2/all.hpp>

using numbers = boost::coroutines2::coroutine<int>;

GLOBAL numbers::pull_type *source;

NOINLINE static char *make_table()
{
    char *table = static_cast<char *>(malloc(1700));
    fill(table, 1700);
    return table;
}

static void count(numbers::push_type &sink)
{
    char *volatile table = make_table();
    for (int i = 0; i < 10; i++)
        sink(i);
    free(table);
}

NOINLINE static numbers::pull_type *source_new(bool is_protected)
{
    using namespace boost::coroutines2;
    if (is_protected)
        return new numbers::pull_type(protected_fixedsize_stack(STACK_BYTES), count);
    return new numbers::pull_type(fixedsize_stack(STACK_BYTES), count);
}

NOINLINE static void run(char **argv)
{
    source = source_new(said(argv, "protected"));
    (*source)();
    REQUIRE(source->get() == 1);
    if (said(argv, "lost"))
        source = nullptr;
    else if (said(argv, "destroyed"))
        delete source;
}

int main(int, char **argv)
{
    run(argv);
    wipe();
    return 0;
}
