#ifndef CORONER_COMPAT_MEMCHECK_H
#define CORONER_COMPAT_MEMCHECK_H
/*
 * Memcheck's client requests, told to Coroner: a stand-in for <valgrind/memcheck.h>.  See
 * valgrind.h beside it for how to use both.
 *
 *     VALGRIND_DO_LEAK_CHECK;                             // reports on standard error
 *     VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed);
 *
 * Coroner's words for Memcheck's: `leaked` is what is proven, directly lost or behind that;
 * `dubious` what is only likely; `reachable` what is live.  Suppressions are heeded by the report
 * alone, so `suppressed` is 0.
 */
#include "valgrind.h"

#ifdef __cplusplus
extern "C" {
#endif
void coroner_v1_leak_check(int kind) CORONER_WEAK;
unsigned long coroner_v1_leak_count(int which, int is_blocks) CORONER_WEAK;
#ifdef __cplusplus
}
#endif

/* What is reported: everything, nothing (only counted), or all when there is more than last time. */
enum { CORONER_MEMCHECK_FULL, CORONER_MEMCHECK_QUICK, CORONER_MEMCHECK_ADDED };
enum { CORONER_MEMCHECK_LEAKED, CORONER_MEMCHECK_DUBIOUS, CORONER_MEMCHECK_REACHABLE };

CORONER_INLINE void coroner_memcheck_check(int kind)
{
    (void)kind;
    CORONER_TELL(coroner_v1_leak_check, (kind));
}

CORONER_INLINE unsigned long coroner_memcheck_count(int which, int is_blocks)
{
    (void)which, (void)is_blocks;
    return CORONER_CALL(coroner_v1_leak_count, (which, is_blocks));
}

#define VALGRIND_DO_LEAK_CHECK coroner_memcheck_check(CORONER_MEMCHECK_FULL)
#define VALGRIND_DO_QUICK_LEAK_CHECK coroner_memcheck_check(CORONER_MEMCHECK_QUICK)
#define VALGRIND_DO_ADDED_LEAK_CHECK coroner_memcheck_check(CORONER_MEMCHECK_ADDED)
#define VALGRIND_DO_CHANGED_LEAK_CHECK coroner_memcheck_check(CORONER_MEMCHECK_ADDED)
#define VALGRIND_DO_NEW_LEAK_CHECK coroner_memcheck_check(CORONER_MEMCHECK_ADDED)

/* Of the last check; in bytes, and in blocks. */
#define CORONER_MEMCHECK_COUNTS(leaked, dubious, reachable, suppressed, is_blocks)          \
    do {                                                                                    \
        (leaked) = coroner_memcheck_count(CORONER_MEMCHECK_LEAKED, (is_blocks));            \
        (dubious) = coroner_memcheck_count(CORONER_MEMCHECK_DUBIOUS, (is_blocks));          \
        (reachable) = coroner_memcheck_count(CORONER_MEMCHECK_REACHABLE, (is_blocks));      \
        (suppressed) = 0;                                                                   \
    } while (0)
#define VALGRIND_COUNT_LEAKS(leaked, dubious, reachable, suppressed) \
    CORONER_MEMCHECK_COUNTS(leaked, dubious, reachable, suppressed, 0)
#define VALGRIND_COUNT_LEAK_BLOCKS(leaked, dubious, reachable, suppressed) \
    CORONER_MEMCHECK_COUNTS(leaked, dubious, reachable, suppressed, 1)

#define VALGRIND_MAKE_MEM_NOACCESS(address, bytes) CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_MAKE_MEM_UNDEFINED(address, bytes) CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_MAKE_MEM_DEFINED(address, bytes) CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_MAKE_MEM_DEFINED_IF_ADDRESSABLE(address, bytes) \
    CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_CREATE_BLOCK(address, bytes, text) CORONER_VALGRIND_VALUE(address, bytes, text)
#define VALGRIND_DISCARD(block) CORONER_VALGRIND_VALUE(block)
#define VALGRIND_CHECK_MEM_IS_ADDRESSABLE(address, bytes) CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_CHECK_MEM_IS_DEFINED(address, bytes) CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_CHECK_VALUE_IS_DEFINED(value) CORONER_VALGRIND_VALUE(&(value))
#define VALGRIND_GET_VBITS(address, bits, bytes) \
    ((unsigned)CORONER_VALGRIND_VALUE(address, bits, bytes))
#define VALGRIND_SET_VBITS(address, bits, bytes) \
    ((unsigned)CORONER_VALGRIND_VALUE(address, bits, bytes))
#define VALGRIND_DISABLE_ADDR_ERROR_REPORTING_IN_RANGE(address, bytes) \
    CORONER_VALGRIND_VALUE(address, bytes)
#define VALGRIND_ENABLE_ADDR_ERROR_REPORTING_IN_RANGE(address, bytes) \
    CORONER_VALGRIND_VALUE(address, bytes)

#endif
