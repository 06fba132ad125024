#ifndef CRN_UNWIND_H
#define CRN_UNWIND_H
/*
 * Allocation stacks: from a call frame to a node of the calling-context tree.
 *
 * A stack mostly looks as it did a moment ago, but for its innermost frames.  So each stack has a
 * memo, the last walk over it: its call frames, and the words of the stack that led from each to
 * the next.  A new walk goes only until it meets a remembered frame; if all words that led on from
 * there are unchanged, the rest of the walk would end in the same node:
 *
 *     memo:   main -- loop -- handle -- parse -- token           (outermost first)
 *     now:    main -- loop -- handle -- parse -- string -- grow
 *                                       `-- met here: two new frames, four compared
 *
 * Why that is proof: a step is a function of (pc, rsp, rbp) and of the words it reads, which are
 * the return address and, for some functions, the saved rbp or the CFA.  Two frames with the same
 * pc and the same slot (hence rsp) are the same state if rbp is equal too, or if nothing further
 * out looks at it: most code keeps a loop's counter there rather than a frame pointer.  So by
 * induction equal words are an equal walk.  Through a signal frame nothing is proven, since rsp is
 * loaded as well: a memo ends before the interrupted frame.
 *
 * A walk itself is mostly foreseen: each thread remembers for a return address how to go on, and
 * for the frames that were new together the node they came to.  Such a node is believed when the
 * tree says that it has just these frames.
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

/* One step, and what it rests on. */
struct crn_stride {
    uintptr_t slot;     /* where the caller's return address was read */
    uintptr_t bp_from;  /* where its rbp was loaded; 0: it was kept */
    uintptr_t cfa_from; /* where its CFA was loaded; 0: it was computed */
    bool uses_bp;       /* the step depends on rbp */
    bool is_proven;     /* equal pc, slot, rbp and words prove it: not through a signal */
    uintptr_t end_word; /* when the walk ends: the word that ended it; 0: none was read */
};

/* As crn_frame_step, with all of it; may call libunwind. */
bool crn_frame_stride(struct crn_frame *frame, struct crn_stack_bounds bounds,
                      bool may_call_libunwind, struct crn_stride *stride);

struct crn_memo_entry {
    uintptr_t slot;        /* where the return address lies */
    uintptr_t pc;          /* what it was */
    uintptr_t bp;          /* rbp in that frame */
    uint32_t node;         /* of the stack up to here */
    uint32_t words : 31;   /* words[0 .. words) prove the walk outwards from here */
    uint32_t needs_bp : 1; /* ... if rbp is the same, too */
};
struct crn_memo_word {
    uintptr_t address, value;
};

/* The last walk over one stack.  Zeroed memory is an empty memo; it owns its mapping. */
struct crn_memo {
    struct crn_stack_bounds bounds; /* of the stack */
    uint32_t count, capacity;
    uint32_t epoch;                 /* of the rules by which the walk went */
    struct crn_memo_entry *entries; /* outermost first, `count` of them */
    struct crn_memo_word *words;    /* what led to them, in the same order */
};

/*
 * How to go on from one return address, and where that led the last time.  Many functions have one
 * caller that matters, and then nothing waits for the caller's address to be read and looked up;
 * where callers alternate, a guess that the processor must take back costs more than the look-up.
 */
struct crn_step {
    uint64_t pc : 48;    /* the return address; 0: none */
    uint64_t how : 8;    /* enum in unwind.c */
    uint64_t doubts : 8; /* up with a caller that was not foreseen, down with one that was */
    int32_t cfa_offset;
    int16_t bp_offset;
    uint16_t next; /* the row of the caller */
};

/* Which node the new frames of a walk came to. */
struct crn_leaf {
    uint32_t node; /* 0: none */
    uint32_t mark; /* of these frames, and the node that they stand on */
};

/* What a thread needs to walk, beside the memo of the stack.  Zeroed memory will do. */
struct crn_walker {
    struct crn_step *steps;        /* 1 << step_bits rows; NULL: none yet */
    struct crn_leaf *leaves;       /* twice as many */
    uint32_t step_bits, evictions; /* when evictions are too many, rows and leaves become more */
    struct crn_fresh_frame *fresh; /* room for a walk's new frames, innermost first */
    uint32_t fresh_capacity;
    uint32_t epoch; /* of the rules that the steps were made from */
};

enum { CRN_STACK_DEPTH_MAX = 1 << 16 }; /* frames; deeper ones lose their outermost part */

/*
 * The node for the stack whose innermost frame has the return address `pc`, rsp `sp` once that
 * has been popped (it lies at sp - 8), and rbp `bp`.  0 when it cannot be known.
 * Not re-entrant for one walker or memo: the caller guards.
 */
uint32_t crn_stack_capture(struct crn_tree *tree, struct crn_walker *walker, struct crn_memo *memo,
                           uintptr_t pc, uintptr_t sp, uintptr_t bp);

/* The same without a memo, for the stack of somebody who stands still; no libunwind, no locks. */
uint32_t crn_stack_capture_still(struct crn_tree *tree, struct crn_frame frame,
                                 struct crn_stack_bounds bounds);

/* Forgets the walk: the memo is for this stack from now on. */
void crn_memo_reset(struct crn_memo *memo, struct crn_stack_bounds bounds);

/* Gives the mappings back. */
void crn_memo_fini(struct crn_memo *memo);
void crn_walker_fini(struct crn_walker *walker);

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
