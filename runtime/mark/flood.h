#ifndef CRN_FLOOD_H
#define CRN_FLOOD_H
/*
 * Following pointers through a snapshot: what the floods share.
 */
#include "mark/target.h"

/*
 * The coroutine whose stack or context `word` points to, one past the end of its stack included,
 * as index + 1; 0: none.
 */
uint32_t crn_word_coro(const struct crn_mark *mark, uintptr_t word);

/* Whether a word is a link that nobody follows to resume a coroutine. */
bool crn_word_is_link(const struct crn_mark *mark, uintptr_t word);

/* The coroutine whose stack or handle lies in a block, the first of them, as index + 1; 0: none. */
uint32_t crn_block_coro(const struct crn_mark *mark, uintptr_t start, size_t bytes);

/*
 * Calls visit(word, its address) for every word of [start, end), `step` bytes apart, that could
 * be an address, except in opaque ranges other than `own_stack` (index + 1 of a coroutine whose
 * body this is); for a context that is a handle, calls reach(coro).  Never reads memory that is
 * not there when `is_sparse`.  What cannot be touched is copied: a `run` then sees the copy.
 */
struct crn_scan {
    const struct crn_mark *mark;
    void (*visit)(struct crn_scan *scan, uintptr_t word, uintptr_t address);
    /* Reads all of [start, end) in place of `visit`, bodies only if `runs_bodies`; may be NULL. */
    void (*run)(struct crn_scan *scan, uintptr_t start, uintptr_t end);
    void (*reach)(struct crn_scan *scan, uint32_t coro, uintptr_t address); /* may be NULL */
    uint32_t own_stack;
    unsigned leaves_out; /* enum crn_parts (snap/readable.h) */
    uintptr_t shift;     /* from where a word is read to its address: not 0 in a copy */
    uint8_t step;
    bool runs_bodies;
};
void crn_scan_words(struct crn_scan *scan, uintptr_t start, uintptr_t end); /* all are there */
void crn_scan_range(struct crn_scan *scan, uintptr_t start, uintptr_t end, bool is_sparse);
void crn_scan_root(struct crn_scan *scan, const struct crn_root *root);
void crn_scan_block(struct crn_scan *scan, uintptr_t start, size_t bytes);

/* From here on a block's untouched pages are left out. */
enum { CRN_SPARSE_FROM_BYTES = 256 * 1024 };

/* Whether any local is declared done, and whether one lies at an address. */
bool crn_has_done_locals(const struct crn_mark *mark);
bool crn_local_is_done(const struct crn_mark *mark, uintptr_t address);

/* The body of a coroutine: its words, then its part of the stack. */
void crn_scan_body(struct crn_scan *scan, uint32_t coro);

/* What of a live one's stack, at its low end, may be data of its owner. */
void crn_scan_zone(struct crn_scan *scan, uint32_t coro);

/* What a coroutine that was reached holds: its zone, and its body unless nobody will read that. */
void crn_scan_reached(struct crn_scan *scan, uint32_t coro);

/* Only the low 48 bits address memory; programs keep tags above. */
#define CRN_ADDRESS_MASK (((uintptr_t)1 << 48) - 1)

/* A growing stack of numbers in memory of its own. */
struct crn_worklist {
    struct crn_span span;
    size_t count;
};
bool crn_worklist_init(struct crn_worklist *list, size_t rows_max);
bool crn_worklist_push_slow(struct crn_worklist *list, uintptr_t value);
CRN_INLINE bool crn_worklist_push(struct crn_worklist *list, uintptr_t value)
{
    if (CRN_UNLIKELY((list->count + 1) * sizeof value > list->span.committed))
        return crn_worklist_push_slow(list, value);
    ((uintptr_t *)list->span.base)[list->count++] = value;
    return true;
}
CRN_INLINE uintptr_t crn_worklist_pop(struct crn_worklist *list)
{
    return ((uintptr_t *)list->span.base)[--list->count];
}
void crn_worklist_free(struct crn_worklist *list);

/*
 * Blocks that are about to be scanned, each asked for from memory a little ahead of its turn.
 * Zeroed memory is an empty one.
 */
enum { CRN_BLOCKS_AHEAD = 8 };
struct crn_ahead {
    uintptr_t starts[CRN_BLOCKS_AHEAD];
    unsigned first, count;
};

/* The next block of the worklist to scan; 0: there is none left. */
CRN_INLINE uintptr_t crn_ahead_next(struct crn_ahead *ahead, struct crn_worklist *blocks)
{
    while (ahead->count < CRN_BLOCKS_AHEAD && blocks->count > 0) {
        uintptr_t start = crn_worklist_pop(blocks);
        __builtin_prefetch((const void *)start);
        ahead->starts[(ahead->first + ahead->count++) % CRN_BLOCKS_AHEAD] = start;
    }
    if (ahead->count == 0)
        return 0;
    uintptr_t next = ahead->starts[ahead->first];
    ahead->first = (ahead->first + 1) % CRN_BLOCKS_AHEAD;
    ahead->count--;
    return next;
}

/* Builds rows, colours and fresh bits; every live block is then white. */
enum crn_status crn_colours_build(struct crn_mark *mark);

/* Gives what the live flood took by its bit alone its colour. */
void crn_colours_settle(struct crn_mark *mark);

/* Makes the bits say which blocks are white, plain or not. */
void crn_whites_collect(struct crn_mark *mark);

/* Enters the coroutine frames of the snapshot, before the live flood; and tells those it reached. */
void crn_frames_begin(struct crn_mark *mark);
void crn_frames_settle(struct crn_mark *mark);

/* A word leads to a dead frame: something holds its handle.  True: that is news. */
bool crn_frame_hold(struct crn_mark *mark, uintptr_t start);

/* Floods `live` from the roots. */
enum crn_status crn_flood_live(struct crn_mark *mark);

/* Calls `visit` for every block whose bit in `bits` is set when its turn comes, ascending. */
void crn_mark_for_each(const struct crn_mark *mark, const uint64_t *bits,
                       void (*visit)(struct crn_target target, void *user), void *user);

CRN_INLINE bool crn_bit_get(const uint64_t *bits, crn_slot slot)
{
    return (bits[slot / 64] >> slot % 64 & 1) != 0;
}
CRN_INLINE void crn_bit_set(uint64_t *bits, crn_slot slot)
{
    bits[slot / 64] |= (uint64_t)1 << slot % 64;
}
CRN_INLINE void crn_bit_clear(uint64_t *bits, crn_slot slot)
{
    bits[slot / 64] &= ~((uint64_t)1 << slot % 64);
}

/* A block of which there is no more to know than whether something leads to it. */
CRN_INLINE bool crn_colour_is_plain(uint8_t colour)
{
    return (colour & (CRN_COLOUR_SPECIAL | CRN_COLOUR_FRAME)) == 0 && colour != CRN_COLOUR_NONE;
}
CRN_INLINE bool crn_is_white(const struct crn_mark *mark, crn_slot slot)
{
    return (mark->colours[slot] & CRN_COLOUR_MASK) == CRN_COLOUR_WHITE;
}
CRN_INLINE void crn_colour_set(struct crn_mark *mark, crn_slot slot, enum crn_verdict verdict)
{
    mark->colours[slot] =
        (uint8_t)((mark->colours[slot] & ~CRN_COLOUR_MASK) | (CRN_COLOUR_VERDICT + verdict));
    crn_bit_clear(mark->fresh, slot);
}

/* Makes a block one that is not plain: `flag` is SPECIAL or FRAME. */
CRN_INLINE void crn_colour_close(struct crn_mark *mark, crn_slot slot, uint8_t flag)
{
    mark->colours[slot] |= flag;
    mark->has_closed = true;
    crn_bit_clear(mark->fresh, slot);
}

#endif
