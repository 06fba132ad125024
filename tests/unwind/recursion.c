/*
 * A recursion that goes another way down each time: contexts without end, so that it is folded.
 * What stands in the report must be the stack with parts of the recursion taken out, no other.
 *
 * STACKS:    300000
 * EVERY:     10
 * EXPLAINED: folded
 * OPTIONS:   fold_recursion=yes
 * BUILD:     gcc -O1 -O2
 */
#include "unwind.h"

static unsigned left(unsigned depth), right(unsigned depth);

NOINLINE static unsigned both(unsigned depth)
{
    unsigned result = random_below(2) == 0 ? left(depth) : right(depth);
    NO_TAIL_CALL();
    return result + 1;
}

NOINLINE static unsigned left(unsigned depth)
{
    unsigned result = 1;
    if (depth == 0)
        ALLOCATE();
    else
        result = random_below(3) == 0 ? both(depth - 1) : right(depth - 1);
    NO_TAIL_CALL();
    return result;
}

NOINLINE static unsigned right(unsigned depth)
{
    unsigned result = 2;
    if (depth > 1)
        result = random_below(3) == 0 ? both(depth - 2) : left(depth - 2);
    ALLOCATE();
    NO_TAIL_CALL();
    return result;
}

NOINLINE static unsigned outside(unsigned depth)
{
    unsigned result = both(depth);
    ALLOCATE();
    NO_TAIL_CALL();
    return result;
}

int main(void)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < 40000; i++)
        sum += i % 2 == 0 ? outside(30) : both(28);
    return sum == 0;
}
