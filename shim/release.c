/*
 * free and every C++ operator delete (Itanium C++ ABI, _Zd*).
 *
 * They are in a file of their own because they alone may end in a jump: nobody asks later who
 * called them, so their frames need not stay.
 */
#include "shim/fast.h"

CRN_EXPORT void free(void *block);
CRN_EXPORT void free(void *block)
{
    crn_fast_release(block);
}

CRN_EXPORT void cfree(void *block);
CRN_EXPORT void cfree(void *block)
{
    crn_fast_release(block);
}

#define DELETE(symbol, ...)              \
    CRN_EXPORT void symbol(__VA_ARGS__); \
    CRN_EXPORT void symbol(__VA_ARGS__)  \
    {                                    \
        crn_fast_release(block);         \
    }

#pragma GCC diagnostic ignored "-Wunused-parameter"
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
