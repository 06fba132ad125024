#ifndef CORONER_COMPAT_VALGRIND_H
#define CORONER_COMPAT_VALGRIND_H
/*
 * Valgrind's client requests, told to Coroner: a stand-in for <valgrind/valgrind.h>.  C11, C++17.
 *
 *     cc -I PREFIX/include/coroner/compat ...        // before the folder of the real headers
 *
 * VALGRIND_STACK_REGISTER tells where a coroutine's stack lies, which Coroner otherwise finds out
 * by itself; memcheck.h beside this one has the leak checks.  Everything else does nothing, and
 * RUNNING_ON_VALGRIND is 0, so a program built with this header has nothing to say to Valgrind
 * itself.  Without Coroner nothing happens at all.
 *
 * A macro that Valgrind gives a value has one here: what it is where Valgrind does not run.
 */
#include "../../coroner.h"

#ifdef __cplusplus
extern "C" {
#endif
unsigned coroner_v1_stack_register(const void *start, const void *end) CORONER_WEAK;
void coroner_v1_stack_change(unsigned id, const void *start, const void *end) CORONER_WEAK;
#ifdef __cplusplus
}
#endif

#define __VALGRIND_MAJOR__ 3
#define __VALGRIND_MINOR__ 19

CORONER_INLINE unsigned coroner_valgrind_stack_register(const void *start, const void *end)
{
    (void)start, (void)end;
    return CORONER_CALL(coroner_v1_stack_register, (start, end));
}

CORONER_INLINE void coroner_valgrind_stack_change(unsigned id, const void *start, const void *end)
{
    (void)id, (void)start, (void)end;
    CORONER_TELL(coroner_v1_stack_change, (id, start, end));
}

/* The arguments are evaluated, as in Valgrind's own. */
CORONER_INLINE unsigned long coroner_valgrind_ignore(int count, ...)
{
    (void)count;
    return 0;
}
#define CORONER_VALGRIND_NOTHING(...) ((void)coroner_valgrind_ignore(0, __VA_ARGS__))
#define CORONER_VALGRIND_VALUE(...) coroner_valgrind_ignore(0, __VA_ARGS__)

#define RUNNING_ON_VALGRIND 0u

/* A stack is [start, end); the two may come in either order. */
#define VALGRIND_STACK_REGISTER(start, end)                        \
    coroner_valgrind_stack_register((const void *)(start), (const void *)(end))
#define VALGRIND_STACK_DEREGISTER(id) \
    coroner_valgrind_stack_change((unsigned)(id), (const void *)0, (const void *)0)
#define VALGRIND_STACK_CHANGE(id, start, end)                      \
    coroner_valgrind_stack_change((unsigned)(id), (const void *)(start), (const void *)(end))

#define VALGRIND_DO_CLIENT_REQUEST_EXPR(otherwise, request, a1, a2, a3, a4, a5) \
    ((void)coroner_valgrind_ignore(0, request, a1, a2, a3, a4, a5), (otherwise))
#define VALGRIND_DO_CLIENT_REQUEST_STMT(request, a1, a2, a3, a4, a5) \
    CORONER_VALGRIND_NOTHING(request, a1, a2, a3, a4, a5)
#define VALGRIND_DO_CLIENT_REQUEST(result, otherwise, request, a1, a2, a3, a4, a5) \
    ((result) = VALGRIND_DO_CLIENT_REQUEST_EXPR(otherwise, request, a1, a2, a3, a4, a5))

#define VALGRIND_DISCARD_TRANSLATIONS(address, bytes) CORONER_VALGRIND_NOTHING(address, bytes)
#define VALGRIND_INNER_THREADS(address) CORONER_VALGRIND_NOTHING(address)
#define VALGRIND_COUNT_ERRORS 0u

#define VALGRIND_NON_SIMD_CALL0(function) CORONER_VALGRIND_VALUE(function)
#define VALGRIND_NON_SIMD_CALL1(function, a1) CORONER_VALGRIND_VALUE(function, a1)
#define VALGRIND_NON_SIMD_CALL2(function, a1, a2) CORONER_VALGRIND_VALUE(function, a1, a2)
#define VALGRIND_NON_SIMD_CALL3(function, a1, a2, a3) CORONER_VALGRIND_VALUE(function, a1, a2, a3)

/* Allocators of the program's: their blocks are part of the block or mapping they are cut from. */
#define VALGRIND_MALLOCLIKE_BLOCK(address, bytes, redzone, is_zeroed) \
    CORONER_VALGRIND_NOTHING(address, bytes, redzone, is_zeroed)
#define VALGRIND_RESIZEINPLACE_BLOCK(address, old_bytes, new_bytes, redzone) \
    CORONER_VALGRIND_NOTHING(address, old_bytes, new_bytes, redzone)
#define VALGRIND_FREELIKE_BLOCK(address, redzone) CORONER_VALGRIND_NOTHING(address, redzone)
#define VALGRIND_CREATE_MEMPOOL(pool, redzone, is_zeroed) \
    CORONER_VALGRIND_NOTHING(pool, redzone, is_zeroed)
#define VALGRIND_CREATE_MEMPOOL_EXT(pool, redzone, is_zeroed, flags) \
    CORONER_VALGRIND_NOTHING(pool, redzone, is_zeroed, flags)
#define VALGRIND_MEMPOOL_AUTO_FREE 1
#define VALGRIND_MEMPOOL_METAPOOL 2
#define VALGRIND_DESTROY_MEMPOOL(pool) CORONER_VALGRIND_NOTHING(pool)
#define VALGRIND_MEMPOOL_ALLOC(pool, address, bytes) CORONER_VALGRIND_NOTHING(pool, address, bytes)
#define VALGRIND_MEMPOOL_FREE(pool, address) CORONER_VALGRIND_NOTHING(pool, address)
#define VALGRIND_MEMPOOL_TRIM(pool, address, bytes) CORONER_VALGRIND_NOTHING(pool, address, bytes)
#define VALGRIND_MOVE_MEMPOOL(from, to) CORONER_VALGRIND_NOTHING(from, to)
#define VALGRIND_MEMPOOL_CHANGE(pool, from, to, bytes) \
    CORONER_VALGRIND_NOTHING(pool, from, to, bytes)
#define VALGRIND_MEMPOOL_EXISTS(pool) CORONER_VALGRIND_VALUE(pool)

#define VALGRIND_LOAD_PDB_DEBUGINFO(fd, address, bytes, delta) \
    CORONER_VALGRIND_NOTHING(fd, address, bytes, delta)
#define VALGRIND_MAP_IP_TO_SRCLOC(address, text) CORONER_VALGRIND_VALUE(address, text)
#define VALGRIND_DISABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_ENABLE_ERROR_REPORTING ((void)0)
#define VALGRIND_MONITOR_COMMAND(command) CORONER_VALGRIND_VALUE(command)
#define VALGRIND_CLO_CHANGE(option) CORONER_VALGRIND_NOTHING(option)

CORONER_INLINE int VALGRIND_PRINTF(const char *format, ...) __attribute__((format(printf, 1, 2)));
CORONER_INLINE int VALGRIND_PRINTF(const char *format, ...)
{
    (void)format;
    return 0;
}
CORONER_INLINE int VALGRIND_PRINTF_BACKTRACE(const char *format, ...)
    __attribute__((format(printf, 1, 2)));
CORONER_INLINE int VALGRIND_PRINTF_BACKTRACE(const char *format, ...)
{
    (void)format;
    return 0;
}

#endif
