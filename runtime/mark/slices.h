#ifndef CRN_SLICES_H
#define CRN_SLICES_H
/*
 * A second look, at the offsets that the flood passed over, before a block is called a leak.
 *
 * Schedulers that share one stack between coroutines copy what a suspended one used to the heap,
 * from wherever it began (`char here; memcpy(save, &here, top - &here)`), so the words of the copy
 * lie at any offset.  The copy is a stack: what it points to is live.  It shows itself by a word at
 * the same offset modulo 8 that points into code, as return addresses do, or into a stack.
 *
 * A pointer at an odd offset without such a neighbour may belong to a packed record, or be chance:
 * what it points to is still called a leak, but only `likely`.
 */
#include "mark/flood.h"

enum { CRN_ODD_BYTES_MAX = 4, CRN_ODD_STEP = 8 };

typedef uint8_t crn_lanes __attribute__((vector_size(16)));

struct crn_odd_look {
    struct crn_scan scan; /* first: visitors cast back */
    struct crn_mark *mark;
    void (*hold)(struct crn_odd_look *look, uintptr_t word); /* what a copied stack points to */
    void *user;
    /* Bits 40 to 47 of the addresses that are looked for, in all lanes alike. */
    crn_lanes high[CRN_ODD_BYTES_MAX];
    crn_lanes any; /* all bits set: there are more than fit, and any will do */
    unsigned high_count;
    /* By offset modulo 8: the neighbour found last, and memory that was searched in vain. */
    uintptr_t neighbours[CRN_ODD_STEP];
    struct crn_range barren[CRN_ODD_STEP];
};

/* Prepares; false: there is nothing to look for, or it was not wanted, or there is no memory. */
bool crn_odd_begin(struct crn_odd_look *look, struct crn_mark *mark);

/* Looks in [start, end), which the flood reads every `step` bytes. */
void crn_odd_read(struct crn_odd_look *look, uintptr_t start, uintptr_t end, unsigned step);

/* Forgets what was found around: a copy lies where another one lay before. */
CRN_INLINE void crn_odd_forget(struct crn_odd_look *look)
{
    __builtin_memset(look->neighbours, 0, sizeof look->neighbours);
    __builtin_memset(look->barren, 0, sizeof look->barren);
}

/* Looks in all that is live now. */
void crn_odd_search(struct crn_odd_look *look);

/* Whether only a pointer at an odd offset leads to anything at all, */
bool crn_mark_has_doubts(const struct crn_mark *mark);

/* to a block. */
CRN_INLINE bool crn_block_is_doubted(const struct crn_mark *mark, crn_slot slot)
{
    return mark->doubted != NULL && crn_bit_get(mark->doubted, slot);
}

#endif
