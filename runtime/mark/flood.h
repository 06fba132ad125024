#ifndef CRN_FLOOD_H
#define CRN_FLOOD_H
/*
 * Following pointers through a snapshot: what mark.c, verdict.c and trace.c share.
 */
#include "mark/mark.h"

/* A block that a word points into. */
struct crn_target {
    crn_slot slot;
    uintptr_t start;
    size_t bytes; /* usable */
};

/* Resolves a word to a live block; false when it points into none. */
bool crn_target_find(const struct crn_mark *mark, uintptr_t word, struct crn_target *target);

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
 * not there when `is_sparse`.
 */
struct crn_scan {
    const struct crn_mark *mark;
    void (*visit)(struct crn_scan *scan, uintptr_t word, uintptr_t address);
    void (*reach)(struct crn_scan *scan, uint32_t coro, uintptr_t address); /* may be NULL */
    uint32_t own_stack;
    uint8_t step;
};
void crn_scan_range(struct crn_scan *scan, uintptr_t start, uintptr_t end, bool is_sparse);
void crn_scan_root(struct crn_scan *scan, const struct crn_root *root);
void crn_scan_block(struct crn_scan *scan, uintptr_t start, size_t bytes);

/* Whether any local is declared done, and whether one lies at an address. */
bool crn_has_done_locals(const struct crn_mark *mark);
bool crn_local_is_done(const struct crn_mark *mark, uintptr_t address);

/* The body of a coroutine: its words, then its part of the stack. */
void crn_scan_body(struct crn_scan *scan, uint32_t coro);

/* What of a live one's stack, at its low end, may be data of its owner. */
void crn_scan_zone(struct crn_scan *scan, uint32_t coro);

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

/* Builds colours and cover; every live block is then white. */
enum crn_status crn_colours_build(struct crn_mark *mark);

/* Enters the coroutine frames of the snapshot, before the live flood; and tells those it reached. */
void crn_frames_begin(struct crn_mark *mark);
void crn_frames_settle(struct crn_mark *mark);

/* A word leads to a dead frame: something holds its handle.  True: that is news. */
bool crn_frame_hold(struct crn_mark *mark, uintptr_t start);

/* Floods `live` from the roots. */
enum crn_status crn_flood_live(struct crn_mark *mark);

/* Calls `visit` for every block that is white when its turn comes, ascending. */
void crn_mark_for_each_white(const struct crn_mark *mark,
                             void (*visit)(struct crn_target target, void *user), void *user);

/* The record of a slot. */
struct crn_record *crn_slot_record(const struct crn_mark *mark, crn_slot slot);

CRN_INLINE bool crn_is_white(const struct crn_mark *mark, crn_slot slot)
{
    return (mark->colours[slot] & CRN_COLOUR_MASK) == CRN_COLOUR_WHITE;
}
CRN_INLINE void crn_colour_set(struct crn_mark *mark, crn_slot slot, enum crn_verdict verdict)
{
    mark->colours[slot] =
        (uint8_t)((mark->colours[slot] & ~CRN_COLOUR_MASK) | (CRN_COLOUR_VERDICT + verdict));
}

#endif
