/*
 * Every shape of call frame that a C compiler makes, called by each other at random: small, large,
 * with all registers saved, with alloca and arrays of variable length, realigned, with arguments on
 * the stack, split into hot and cold, ending in a call that does not return.
 *
 * STACKS: 100000
 * EVERY:  12
 * BUILD:  gcc -O0 -O1 -O2 -O3 -Os
 * BUILD:  gcc -O2 -fno-omit-frame-pointer
 * BUILD:  gcc -O2 -mavx2 -mstackrealign
 * BUILD:  gcc -O2 -maccumulate-outgoing-args
 * BUILD:  gcc -O2 -mno-accumulate-outgoing-args -mpush-args
 * BUILD:  gcc -O2 -fstack-clash-protection -fcf-protection
 * BUILD:  clang -O0 -O2 -O3
 * BUILD:  clang -O2 -fno-omit-frame-pointer
 * BUILD:  clang -O2 -mstackrealign
 */
#include "unwind.h"

#include <alloca.h>
#include <setjmp.h>
#include <string.h>

typedef unsigned shape(unsigned depth);
static shape *any(void);
static volatile unsigned sink = 1;
static unsigned allocations_left = 100000;

NOINLINE static void maybe_allocate(void)
{
    if (random_below(3) == 0) {
        ALLOCATE();
        if (allocations_left > 0)
            allocations_left--;
    }
    NO_TAIL_CALL();
}

NOINLINE static unsigned deeper(unsigned depth)
{
    unsigned result = 0;
    maybe_allocate();
    for (unsigned i = random_below(3); depth > 0 && allocations_left > 0 && i < 3; i++)
        result += any()(depth - 1);
    NO_TAIL_CALL();
    return result + 1;
}

NOINLINE static unsigned small(unsigned depth)
{
    unsigned result = deeper(depth);
    NO_TAIL_CALL();
    return result;
}

NOINLINE static unsigned large(unsigned depth)
{
    volatile char room[40000];
    room[sink % sizeof room] = 1;
    unsigned result = deeper(depth);
    USE(room);
    return result + (unsigned char)room[sink % sizeof room];
}

NOINLINE static unsigned all_registers(unsigned depth)
{
    unsigned a = sink, b = sink, c = sink, d = sink, e = sink, f = sink, g = sink;
    for (unsigned i = sink % 2; i < 2; i++) {
        a += deeper(depth > 0 ? depth - 1 : 0);
        b ^= a, c += b, d ^= c, e += d, f ^= e, g += f;
    }
    return a + b + c + d + e + f + g;
}

NOINLINE static unsigned with_alloca(unsigned depth)
{
    volatile char *memory = alloca(1 + random_below(200));
    memory[0] = 1;
    unsigned result = deeper(depth);
    volatile char *more = alloca(1 + random_below(2000));
    more[0] = memory[0];
    result += deeper(depth > 3 ? depth - 3 : 0);
    USE(memory);
    USE(more);
    return result;
}

NOINLINE static unsigned with_array(unsigned depth)
{
    unsigned result = 0;
    for (unsigned i = 1; i < 3; i++) {
        volatile char memory[i * random_below(300) + 1];
        memory[0] = 1;
        result += deeper(depth > i ? depth - i : 0);
        USE(memory);
    }
    return result;
}

NOINLINE static unsigned aligned(unsigned depth)
{
    _Alignas(64) volatile char memory[64];
    memory[sink % 64] = 1;
    REQUIRE((uintptr_t)memory % 64 == 0);
    unsigned result = deeper(depth);
    USE(memory);
    return result;
}

NOINLINE static unsigned aligned_with_alloca(unsigned depth)
{
    _Alignas(128) volatile char memory[32];
    volatile char *more = alloca(16 + random_below(100));
    memory[sink % 32] = more[0] = 1;
    unsigned result = deeper(depth);
    USE(memory);
    USE(more);
    return result;
}

NOINLINE static unsigned with_many_arguments(unsigned a, unsigned b, unsigned c, unsigned d,
                                             unsigned e, unsigned f, unsigned depth, unsigned h,
                                             unsigned i)
{
    return deeper(depth) + a + b + c + d + e + f + h + i;
}

NOINLINE static unsigned pushes_arguments(unsigned depth)
{
    unsigned result = with_many_arguments(1, 2, 3, 4, 5, 6, depth, sink, 9);
    return result + with_many_arguments(1, 2, 3, 4, 5, sink, 0, 8, result);
}

/* rbp is a counter here, where frame pointers are omitted. */
NOINLINE static unsigned counts(unsigned depth)
{
    unsigned result = 0;
    uint64_t a = sink, b = sink, c = sink, d = sink, e = sink;
    for (uint64_t i = (uintptr_t)&depth & 0xf0; i < 0xf3; i += 0x71) {
        result += deeper(depth > 1 ? depth - 2 : 0);
        a += i, b ^= a, c += b, d ^= c, e += d;
    }
    return result + (unsigned)(a + b + c + d + e);
}

NOINLINE static unsigned returns_early(unsigned depth)
{
    if (__builtin_expect(depth == 0, 1))
        return 0;
    char copy[96];
    memset(copy, (int)depth, sizeof copy);
    USE(copy);
    return deeper(depth) + (unsigned char)copy[3];
}

__attribute__((noinline, cold)) static unsigned rare(unsigned depth)
{
    unsigned result = deeper(depth);
    NO_TAIL_CALL();
    return result;
}

NOINLINE static unsigned hot_and_cold(unsigned depth)
{
    unsigned result = depth;
    if (__builtin_expect(random_below(2) == 0, 0)) {
        result += rare(depth);
        result ^= deeper(0);
    }
    return result + sink;
}

NOINLINE static unsigned jumps_on(unsigned depth)
{
    return depth > 1 ? any()(depth - 2) : sink;
}

static jmp_buf back;
static unsigned jump_depth;

__attribute__((noinline, noreturn)) static void gives_up(unsigned depth)
{
    volatile char room[200];
    room[depth % 200] = 1;
    USE(room);
    ALLOCATE();
    if (depth > 0)
        gives_up(depth - 1); /* its return address is the end of this function */
    longjmp(back, 1);
}

/* Frames that longjmp leaves lie below, and their return addresses with them. */
NOINLINE static unsigned comes_back(unsigned depth)
{
    jmp_buf outer;
    memcpy(outer, back, sizeof outer);
    volatile unsigned result = depth;
    if (setjmp(back) == 0)
        gives_up(jump_depth++ % 7);
    ALLOCATE();
    memcpy(back, outer, sizeof outer);
    result += deeper(depth > 4 ? depth - 4 : 0);
    return result;
}

static int callback(const void *left, const void *right)
{
    maybe_allocate();
    return *(const int *)left - *(const int *)right;
}

NOINLINE static unsigned through_libc(unsigned depth)
{
    int numbers[] = {3, 1, 2};
    qsort(numbers, 3, sizeof numbers[0], callback);
    return deeper(depth) + (unsigned)numbers[0];
}

static shape *const shapes[] = {small,      large,         all_registers,       with_alloca,
                                with_array, aligned,       aligned_with_alloca, pushes_arguments,
                                counts,     returns_early, hot_and_cold,        jumps_on,
                                comes_back, through_libc};

static shape *any(void)
{
    return shapes[random_below(sizeof shapes / sizeof shapes[0])];
}

int main(void)
{
    while (allocations_left > 0)
        any()(8 + random_below(20));
    return 0;
}
