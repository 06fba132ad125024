#ifndef CRN_BASE_H
#define CRN_BASE_H
/*
 * The few words every layer uses.  Nothing here allocates, locks or touches errno.
 */
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CRN_LIKELY_TRUE(x) __builtin_expect(!!(x), 1)
#define CRN_UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CRN_EXPORT __attribute__((visibility("default")))
/*
 * Of what programs call: trampolines that people write by hand come with rsp off by 8, and libc bears
 * it.  The stack is set right before anything runs that relies on it.
 */
#define CRN_REALIGNED __attribute__((force_align_arg_pointer))
#define CRN_NOINLINE __attribute__((noinline))
#define CRN_COLD __attribute__((noinline, cold))
#define CRN_INLINE static inline __attribute__((always_inline))
#define CRN_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define CRN_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* What a function of ours may answer beside its result. */
enum crn_status {
    CRN_OK = 0,
    CRN_ERR_NO_MEMORY, /* the kernel refused memory */
    CRN_ERR_BUSY,      /* somebody else is doing it now */
    CRN_ERR_INVALID,   /* the caller's or the user's mistake */
    CRN_ERR_SYSTEM,    /* a system call failed; the message or errno says which */
    CRN_ERR_FORMAT,    /* bytes that are not what they should be */
};

CRN_INLINE uintptr_t crn_align_down(uintptr_t value, uintptr_t power_of_two)
{
    return value & ~(power_of_two - 1);
}

CRN_INLINE uintptr_t crn_align_up(uintptr_t value, uintptr_t power_of_two)
{
    return (value + power_of_two - 1) & ~(power_of_two - 1);
}

CRN_INLINE uint64_t crn_hash64(uint64_t value)
{
    /* The finaliser of MurmurHash3 (Austin Appleby, public domain), one round shorter. */
    value ^= value >> 32;
    value *= 0x9e3779b97f4a7c15u;
    value ^= value >> 29;
    return value;
}

enum { CRN_PAGE_SHIFT = 12, CRN_PAGE_BYTES = 1 << CRN_PAGE_SHIFT, CRN_CACHE_LINE_BYTES = 64 };

#endif
