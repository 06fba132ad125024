/*
 * Every form of operator new and delete, array, sized, aligned and nothrow, works on our heap;
 * what cannot be had throws bad_alloc, or answers null where it promised not to throw, and a
 * new_handler is asked.  One lost block of each kind is found.
 *
 * FLAGS: -fsized-deallocation
 * RUN:    coroner run --format=json --output=report.json $CASE
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE lose
 * EXPECT: lost       blocks=4 bytes=1000 allocated_in=lose_each
 * EXPECT: exit       status=23
 *
 * RUN:    $CASE
 * EXPECT: exit       status=0
 */
#include "case.h"

#include <new>

static volatile std::size_t huge = std::size_t(PTRDIFF_MAX) - 4096;
GLOBAL int handler_calls;

/* Fills and hands on, so that no allocation is optimised away. */
NOINLINE static void *used(void *block, std::size_t bytes, std::size_t alignment)
{
    REQUIRE(block != nullptr && reinterpret_cast<uintptr_t>(block) % alignment == 0);
    fill(block, bytes);
    return block;
}

static void every_pair()
{
    constexpr std::align_val_t wide{256};
    const std::nothrow_t &quiet = std::nothrow;
    operator delete(used(operator new(10), 10, 16));
    operator delete(used(operator new(10), 10, 16), 10);
    operator delete(used(operator new(10, quiet), 10, 16), quiet);
    operator delete(used(operator new(10, wide), 10, 256), wide);
    operator delete(used(operator new(10, wide), 10, 256), 10, wide);
    operator delete(used(operator new(10, wide, quiet), 10, 256), wide, quiet);
    operator delete[](used(operator new[](10), 10, 16));
    operator delete[](used(operator new[](10), 10, 16), 10);
    operator delete[](used(operator new[](10, quiet), 10, 16), quiet);
    operator delete[](used(operator new[](10, wide), 10, 256), wide);
    operator delete[](used(operator new[](10, wide), 10, 256), 10, wide);
    operator delete[](used(operator new[](10, wide, quiet), 10, 256), wide, quiet);
    operator delete(used(operator new(0), 0, 16));
    operator delete(nullptr);
}

template <typename Allocate> static bool throws_bad_alloc(Allocate allocate)
{
    try {
        used(allocate(), 1, 1);
    } catch (const std::bad_alloc &) {
        return true;
    }
    return false;
}

static void give_up()
{
    handler_calls++;
    std::set_new_handler(nullptr);
}

static void refusals()
{
    constexpr std::align_val_t wide{256};
    REQUIRE(throws_bad_alloc([] { return operator new(huge); }));
    REQUIRE(throws_bad_alloc([] { return operator new[](huge); }));
    REQUIRE(throws_bad_alloc([] { return operator new(huge, wide); }));
    REQUIRE(throws_bad_alloc([] { return operator new[](huge, wide); }));
    REQUIRE(operator new(huge, std::nothrow) == nullptr);
    REQUIRE(operator new[](huge, std::nothrow) == nullptr);
    REQUIRE(operator new(huge, wide, std::nothrow) == nullptr);
    REQUIRE(operator new[](huge, wide, std::nothrow) == nullptr);
    std::set_new_handler(give_up);
    REQUIRE(throws_bad_alloc([] { return operator new(huge); }));
    REQUIRE(handler_calls == 1);
    std::set_new_handler(give_up);
    REQUIRE(operator new(huge, std::nothrow) == nullptr && handler_calls == 2);
    std::set_new_handler(give_up);
    REQUIRE(operator new[](huge, wide, std::nothrow) == nullptr && handler_calls == 3);
}

NOINLINE static void lose_each()
{
    constexpr std::align_val_t wide{256};
    used(operator new(100), 100, 16);
    used(operator new[](200, std::nothrow), 200, 16);
    used(operator new(300, wide), 300, 256);
    used(operator new[](400, wide, std::nothrow), 400, 256);
}

int main(int, char **argv)
{
    every_pair();
    refusals();
    if (said(argv, "lose"))
        lose_each();
    wipe();
    return 0;
}
