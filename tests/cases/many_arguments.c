/*
 * makecontext passes on any number of arguments, an even or an odd one.
 *
 * BUILD:  once
 * RUN:    $CASE
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "case.h"

static ucontext_t back, context;
static int expected, runs;

#define TEN(x) x##0, x##1, x##2, x##3, x##4, x##5, x##6, x##7, x##8, x##9
#define INTS(x)                                                                               \
    int x##0, int x##1, int x##2, int x##3, int x##4, int x##5, int x##6, int x##7, int x##8, \
        int x##9

/* Of those that were passed, each is its number. */
static void check(INTS(a), INTS(b), INTS(c), INTS(d), INTS(e), INTS(f), INTS(g))
{
    int passed[] = {TEN(a), TEN(b), TEN(c), TEN(d), TEN(e), TEN(f), TEN(g)};
    REQUIRE(((uintptr_t)__builtin_frame_address(0) & 15) == 0);
    for (int i = 0; i < expected; i++)
        REQUIRE(passed[i] == i + 1000);
    runs++;
}

#define ROW(x)                                                                                \
    1000 + x, 1001 + x, 1002 + x, 1003 + x, 1004 + x, 1005 + x, 1006 + x, 1007 + x, 1008 + x, \
        1009 + x

int main(void)
{
    static char stack[STACK_BYTES];
    static const int counts[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 31, 32, 33, 34, 40, 41, 69, 70};
    for (unsigned i = 0; i < sizeof counts / sizeof *counts; i++) {
        expected = counts[i];
        getcontext(&context);
        context.uc_stack.ss_sp = stack;
        context.uc_stack.ss_size = sizeof stack;
        context.uc_link = &back;
        makecontext(&context, (void (*)(void))check, expected, ROW(0), ROW(10), ROW(20), ROW(30),
                    ROW(40), ROW(50), ROW(60));
        swapcontext(&back, &context);
    }
    REQUIRE(runs == sizeof counts / sizeof *counts);
    return 0;
}
