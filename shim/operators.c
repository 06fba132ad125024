/*
 * Every C++ operator new and delete, by its mangled name (Itanium C++ ABI, _Zn* and _Zd*).
 *
 * C cannot throw.  When there is no memory the next definition behind ours (jemalloc's or
 * libstdc++'s) is asked: it runs the new-handler and throws std::bad_alloc as the program expects.
 */
#include "shim/malloc.h"

#define FRAME ((const uintptr_t *)__builtin_frame_address(0))

static CRN_COLD void *throwing_new(const char *symbol, size_t bytes)
{
    return ((void *(*)(size_t))crn_shim_next(symbol))(bytes);
}

static CRN_COLD void *throwing_aligned_new(const char *symbol, size_t bytes, size_t alignment)
{
    return ((void *(*)(size_t, size_t))crn_shim_next(symbol))(bytes, alignment);
}

#define NEW(symbol)                                                                               \
    CRN_EXPORT void *symbol(size_t bytes);                                                        \
    CRN_EXPORT void *symbol(size_t bytes)                                                         \
    {                                                                                             \
        void *block = crn_allocate(bytes, FRAME);                                                 \
        return CRN_LIKELY_TRUE(block != NULL) ? block : throwing_new(#symbol, bytes);             \
    }
#define NEW_NOTHROW(symbol)                                                                       \
    CRN_EXPORT void *symbol(size_t bytes, const void *tag);                                       \
    CRN_EXPORT void *symbol(size_t bytes, const void *tag)                                        \
    {                                                                                             \
        (void)tag;                                                                                \
        return crn_allocate(bytes, FRAME);                                                        \
    }
#define NEW_ALIGNED(symbol)                                                                       \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment);                                      \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment)                                       \
    {                                                                                             \
        void *block = crn_allocate_aligned(alignment, bytes, FRAME);                              \
        return CRN_LIKELY_TRUE(block != NULL)                                                     \
                   ? block                                                                        \
                   : throwing_aligned_new(#symbol, bytes, alignment);                             \
    }
#define NEW_ALIGNED_NOTHROW(symbol)                                                               \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment, const void *tag);                     \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment, const void *tag)                      \
    {                                                                                             \
        (void)tag;                                                                                \
        return crn_allocate_aligned(alignment, bytes, FRAME);                                     \
    }
#define DELETE(symbol, ...)                                                                       \
    CRN_EXPORT void symbol(__VA_ARGS__);                                                          \
    CRN_EXPORT void symbol(__VA_ARGS__)                                                           \
    {                                                                                             \
        crn_release(block, FRAME);                                                                \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"
/* new: plain, array; nothrow; aligned; aligned nothrow. */
NEW(_Znwm)
NEW(_Znam)
NEW_NOTHROW(_ZnwmRKSt9nothrow_t)
NEW_NOTHROW(_ZnamRKSt9nothrow_t)
NEW_ALIGNED(_ZnwmSt11align_val_t)
NEW_ALIGNED(_ZnamSt11align_val_t)
NEW_ALIGNED_NOTHROW(_ZnwmSt11align_val_tRKSt9nothrow_t)
NEW_ALIGNED_NOTHROW(_ZnamSt11align_val_tRKSt9nothrow_t)

/* delete: plain, sized, nothrow, aligned, sized aligned, aligned nothrow; and arrays. */
DELETE(_ZdlPv, void *block)
DELETE(_ZdaPv, void *block)
DELETE(_ZdlPvm, void *block, size_t bytes)
DELETE(_ZdaPvm, void *block, size_t bytes)
DELETE(_ZdlPvRKSt9nothrow_t, void *block, const void *tag)
DELETE(_ZdaPvRKSt9nothrow_t, void *block, const void *tag)
DELETE(_ZdlPvSt11align_val_t, void *block, size_t alignment)
DELETE(_ZdaPvSt11align_val_t, void *block, size_t alignment)
DELETE(_ZdlPvmSt11align_val_t, void *block, size_t bytes, size_t alignment)
DELETE(_ZdaPvmSt11align_val_t, void *block, size_t bytes, size_t alignment)
DELETE(_ZdlPvSt11align_val_tRKSt9nothrow_t, void *block, size_t alignment, const void *tag)
DELETE(_ZdaPvSt11align_val_tRKSt9nothrow_t, void *block, size_t alignment, const void *tag)
