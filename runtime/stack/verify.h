#ifndef CRN_VERIFY_H
#define CRN_VERIFY_H
/*
 * A test mode: every captured stack is compared, frame by frame, with what libunwind makes of it.
 *
 *     captured    main -- loop -- handle -- parse -- grow        (what blocks will bear)
 *     libunwind   main -- loop -- handle -- parse -- grow        afresh, from all registers
 *
 * Where they differ, two more walks say who is wrong: our own rules without the memo, and libgcc's
 * unwinder.  A difference is *explained* by one of the reasons below, each of which the code checks
 * for the very stack; anything else is unexplained, and a bug until somebody has shown whose.
 *
 * Everything happens inside dl_iterate_phdr: libunwind calls it with its own lock held, so whoever
 * comes here from inside the loader would otherwise lock in the other order.  The lock of the
 * loader also guards all that is counted.
 */
#include "base/switch.h"
#include "stack/unwind.h"

enum crn_verify_reason {
    CRN_VERIFY_EQUAL,
    CRN_VERIFY_ENDS_IN_UNKNOWN_CODE, /* we stopped for want of unwind information; it guessed */
    CRN_VERIFY_ENDS_IN_REGISTERED,   /* we stopped in code that registered its own at run time */
    CRN_VERIFY_ENDS_BY_REGISTER,     /* we stopped where another register than rsp and rbp tells */
    CRN_VERIFY_LEFT_THE_STACK,       /* we stopped where its next frame lies on another stack */
    CRN_VERIFY_TOO_DEEP,             /* we keep the inner part of very deep stacks only */
    CRN_VERIFY_FOLDED,               /* ours is libunwind's with recursion folded: see tree.h */
    CRN_VERIFY_UNKNOWN_TO_LIBUNWIND, /* it stopped for want of it; rbp led us on */
    CRN_VERIFY_LIBGCC_AGREES,        /* libgcc's walk is ours */
    CRN_VERIFY_UNEXPLAINED,
    CRN_VERIFY_MEMO_WRONG,   /* unexplained, and without the memo we walk otherwise */
    CRN_VERIFY_NOT_CAPTURED, /* there is no stack of ours */
    CRN_VERIFY_NO_WITNESS,   /* libunwind did not find the way out of our own frames */
    CRN_VERIFY_REASONS,
};

/* A captured stack to judge. */
struct crn_verify_case {
    const struct crn_tree *tree;
    uint32_t node;
    const uintptr_t *frame; /* of the interposed function */
    struct crn_stack_bounds bounds;
    struct crn_saved_registers registers; /* on the way to it: crn_witness_registers_take */
};

/*
 * Turns the mode on, for every so many-th stack.  False: a witness is missing.  Not
 * async-signal-safe.
 */
bool crn_verify_start(uint32_t every);

/* Compares, if it is this one's turn; needs 16 KiB of stack. */
void crn_verify_stack(const struct crn_verify_case *stack);

/*
 * Tells what was found: a JSON object on a line that is added to the file `output`, or, where that
 * is "", lines on standard error.
 */
void crn_verify_end(const char *output);

void crn_verify_after_fork(void);

#endif
