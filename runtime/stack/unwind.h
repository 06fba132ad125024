#ifndef CRN_UNWIND_H
#define CRN_UNWIND_H
/*
 * Allocation stacks: from a call frame to a node of the calling-context tree.
 *
 * A stack mostly looks as it did a moment ago, but for its innermost frames.  So each stack has a
 * memo, the last walk over it: where each return address lies, what it was, its node.  A new walk
 * goes only until it meets a remembered slot with the same return address and rbp; if all older
 * slots still hold what they held, the rest of the walk would end in the same node:
 *
 *     memo:   main -- loop -- handle -- parse -- token           (outermost first)
 *     now:    main -- loop -- handle -- parse -- string -- grow
 *                                       `-- met here: two new frames, four compared
 *
 * Why equal slots prove it: each step is a function of (pc, rsp, rbp) and of the saved rbp it
 * loads; pc and the place of the next slot follow by induction, and a loaded rbp is compared too.
 * So is a loaded CFA, where a function realigned the stack.  Through a signal frame nothing is
 * proven, since rsp is loaded as well: a memo ends before the interrupted frame.
 */
#include "stack/rules.h"
#include "stack/tree.h"

/* A call frame, by the three registers that unwinding needs. */
struct crn_frame {
    uintptr_t pc, sp, bp;
    bool is_exact; /* pc was executing (innermost, or interrupted): not a return address */
};

/* Bounds of the stack a frame lies on: [start, end). */
struct crn_stack_bounds {
    uintptr_t start, end;
};

/*
 * Goes to the caller.  `slot` gets the address the return address was read from, `bp_slot` where
 * rbp was loaded from (0: it was kept).  Answers false at the outermost frame, and when the next
 * one would not lie above this one inside `bounds`; `frame` is then unchanged.
 * Reads only the stack; takes no lock; async-signal-safe.  `may_call_libunwind` allows the
 * fallback, which does take the loader's lock.
 */
bool crn_frame_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                    bool may_call_libunwind, uintptr_t *slot, uintptr_t *bp_slot);

struct crn_memo_entry {
    uintptr_t slot;    /* where the return address lies */
    uintptr_t pc;      /* what it was */
    uintptr_t bp;      /* rbp in that frame */
    uint32_t node;     /* of the stack up to here */
    uint32_t bp_below; /* slot - (where that rbp was loaded from), bytes; or CRN_MEMO_BP_KEPT */
};
enum {
    CRN_MEMO_BP_KEPT = 0x3fffffff,
    CRN_MEMO_CFA_LOADED = 1 << 30, /* or-ed to it: where the slot lies was read from memory */
    CRN_MEMO_UNPROVEN = -1,        /* equal slots do not prove this step */
};

/* The last walk over one stack.  Zeroed memory is an empty memo; it owns its mappings. */
struct crn_memo {
    uint32_t count, capacity;
    struct crn_memo_entry *entries; /* outermost first, `count` of them */
    struct crn_memo_entry *fresh;   /* room for as many again, innermost first, while walking */
};

enum { CRN_STACK_DEPTH_MAX = 1 << 16 }; /* frames; deeper ones lose their outermost part */

/*
 * The node for the stack whose innermost frame is `frame`, and whose return address lies at
 * `slot`.  0 when it cannot be known.  Not re-entrant for one memo: the caller guards.
 */
uint32_t crn_stack_capture(struct crn_tree *tree, struct crn_memo *memo, struct crn_frame frame,
                           uintptr_t slot, struct crn_stack_bounds bounds);

/* The same without a memo, for the stack of somebody who stands still; no libunwind, no locks. */
uint32_t crn_stack_capture_still(struct crn_tree *tree, struct crn_frame frame,
                                 struct crn_stack_bounds bounds);

/* Tells the fallback where libunwind's entry points are; NULL for each that is missing. */
struct crn_libunwind {
    int (*init_local2)(void *cursor, void *context, int flag);
    int (*step)(void *cursor);
    int (*get_reg)(void *cursor, int reg, unsigned long *value);
};
void crn_libunwind_use(const struct crn_libunwind *functions);

/* One step by libunwind, on behalf of crn_frame_step. */
bool crn_libunwind_step(struct crn_frame *frame);

#endif
