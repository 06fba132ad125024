#ifndef CRN_SIZECLASS_H
#define CRN_SIZECLASS_H
/*
 * jemalloc's size classes, computed: 16, 32, … 128, then four to each doubling.
 *
 * We need the class of a block to find its record, and jemalloc would only tell for the price of
 * a look-up.  The scheme is jemalloc's documented one (SIZE CLASSES in jemalloc(3)); requests are
 * rounded up to 16 first, so the 8-byte class does not occur.
 */
#include "base/base.h"

enum {
    CRN_CLASS_COUNT = 8 + (40 - 7) * 4, /* up to 2^40 bytes */
    CRN_CLASS_SMALL_MAX_BYTES = 14336,  /* larger blocks have pages of their own */
};

struct crn_class {
    uint64_t bytes;
    uint32_t reciprocal; /* ceil(2^32 / bytes), for offsets below 2^14 */
    uint32_t is_large;
};
extern const struct crn_class crn_classes[CRN_CLASS_COUNT];

/* The reciprocals once more, densely: of class i at i + 1; 0 for no class. */
extern const uint32_t crn_class_reciprocals[CRN_CLASS_COUNT + 1];

/* The classes of sizes up to 4096, by sixteenths rounded up: as jemalloc looks them up, too. */
enum { CRN_CLASS_TABLE_MAX_BYTES = 4096 };
extern const uint8_t crn_class_table[CRN_CLASS_TABLE_MAX_BYTES / 16 + 1];

/* The class of a request of 1 <= bytes <= 2^40. */
CRN_INLINE unsigned crn_class_of(size_t bytes)
{
    if (CRN_LIKELY_TRUE(bytes <= CRN_CLASS_TABLE_MAX_BYTES))
        return crn_class_table[(bytes + 15) >> 4];
    unsigned log = 63 - (unsigned)__builtin_clzl(bytes - 1);
    return 8 + (log - 7) * 4 + (unsigned)(((bytes - 1) >> (log - 2)) & 3);
}

#endif
