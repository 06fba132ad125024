#ifndef CRN_ASKED_H
#define CRN_ASKED_H
/*
 * Whose usable size the program asked for: it may use such a block up to there, so a pointer behind
 * the exact size counts as one into the block.
 *
 * A set that never forgets and may name too many: a bit for each hash of a block's address.  Who
 * asks about all of its blocks fills it, and then all count as asked about.
 */
#include "base/base.h"

enum { CRN_ASKED_BITS = 1 << 18 };

struct crn_asked {
    _Atomic uint64_t words[CRN_ASKED_BITS / 64];
};

/* Notes a block; from any thread. */
CRN_INLINE void crn_asked_note(struct crn_asked *asked, uintptr_t start)
{
    uint64_t bit = crn_hash64(start) % CRN_ASKED_BITS;
    _Atomic uint64_t *word = &asked->words[bit / 64];
    uint64_t mask = (uint64_t)1 << bit % 64;
    if ((atomic_load_explicit(word, memory_order_relaxed) & mask) == 0)
        atomic_fetch_or_explicit(word, mask, memory_order_relaxed);
}

/* Whether the program may have asked about the block that starts there. */
CRN_INLINE bool crn_asked_has(const struct crn_asked *asked, uintptr_t start)
{
    uint64_t bit = crn_hash64(start) % CRN_ASKED_BITS;
    return (atomic_load_explicit(&asked->words[bit / 64], memory_order_relaxed) >> bit % 64 & 1) !=
           0;
}

#endif
