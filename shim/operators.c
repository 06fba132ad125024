/*
 * Every C++ operator new, by its mangled name (Itanium C++ ABI, _Zn*).
 *
 * C cannot throw.  When there is no memory the next definition behind ours (jemalloc's or
 * libstdc++'s) is asked: it runs the new-handler and throws std::bad_alloc as the program expects,
 * or answers NULL where that was promised.
 */
#include "shim/fast.h"

#define FRAME ((const uintptr_t *)__builtin_frame_address(0))

static CRN_COLD CRN_REALIGNED void *throwing_new(const char *symbol, size_t bytes)
{
    void *block = ((void *(*)(size_t))crn_shim_next(symbol))(bytes);
    if (block != NULL)
        crn_block_adopt(block, bytes, __builtin_frame_address(0));
    return block;
}

static CRN_COLD CRN_REALIGNED void *throwing_aligned_new(const char *symbol, size_t bytes,
                                                         size_t alignment)
{
    void *block = ((void *(*)(size_t, size_t))crn_shim_next(symbol))(bytes, alignment);
    if (block != NULL)
        crn_block_adopt(block, bytes, __builtin_frame_address(0));
    return block;
}

static CRN_COLD CRN_REALIGNED void *nothrow_new(const char *symbol, size_t bytes, const void *tag)
{
    void *block = ((void *(*)(size_t, const void *))crn_shim_next(symbol))(bytes, tag);
    if (block != NULL)
        crn_block_adopt(block, bytes, __builtin_frame_address(0));
    return block;
}

static CRN_COLD CRN_REALIGNED void *nothrow_aligned_new(const char *symbol, size_t bytes,
                                                        size_t alignment, const void *tag)
{
    void *block =
        ((void *(*)(size_t, size_t, const void *))crn_shim_next(symbol))(bytes, alignment, tag);
    if (block != NULL)
        crn_block_adopt(block, bytes, __builtin_frame_address(0));
    return block;
}

#define NEW(symbol)                                                                   \
    CRN_EXPORT void *symbol(size_t bytes);                                            \
    CRN_EXPORT void *symbol(size_t bytes)                                             \
    {                                                                                 \
        void *block = crn_fast_allocate(bytes, false, FRAME);                         \
        return CRN_LIKELY_TRUE(block != NULL) ? block : throwing_new(#symbol, bytes); \
    }
#define NEW_NOTHROW(symbol)                                                               \
    CRN_EXPORT void *symbol(size_t bytes, const void *tag);                               \
    CRN_EXPORT void *symbol(size_t bytes, const void *tag)                                \
    {                                                                                     \
        void *block = crn_allocate(bytes, FRAME);                                         \
        return CRN_LIKELY_TRUE(block != NULL) ? block : nothrow_new(#symbol, bytes, tag); \
    }
#define NEW_ALIGNED(symbol)                                                                      \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment);                                     \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment)                                      \
    {                                                                                            \
        void *block = crn_allocate_aligned(alignment, bytes, FRAME);                             \
        return CRN_LIKELY_TRUE(block != NULL) ? block                                            \
                                              : throwing_aligned_new(#symbol, bytes, alignment); \
    }
#define NEW_ALIGNED_NOTHROW(symbol)                                           \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment, const void *tag); \
    CRN_EXPORT void *symbol(size_t bytes, size_t alignment, const void *tag)  \
    {                                                                         \
        void *block = crn_allocate_aligned(alignment, bytes, FRAME);          \
        return CRN_LIKELY_TRUE(block != NULL)                                 \
                   ? block                                                    \
                   : nothrow_aligned_new(#symbol, bytes, alignment, tag);     \
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
