#ifndef CRN_CAPTURE_H
#define CRN_CAPTURE_H
/*
 * What a thread keeps for the stacks that it takes.  Only the thread itself uses it.
 */
#include "stack/sample.h"
#include "stack/unwind.h"

/*
 * Stacks that a thread remembers a walk over.  Coroutines that it switches between keep theirs; of
 * very many, each comes back to an empty memo, and the first walk is a whole one.
 */
enum { CRN_CAPTURE_MEMOS = 16 };

struct crn_capture {
    /* Hot. */
    int64_t until_sample;  /* bytes to the next allocation that gets a stack; see shim/state.h */
    struct crn_memo *memo; /* for the stack that runs now */
    struct crn_walker walker;

    /* Cold. */
    struct crn_sampler sampler;               /* draws until_sample */
    struct crn_memo memos[CRN_CAPTURE_MEMOS]; /* 0: of its own stack; others by coroutine */
    uint32_t memo_coros[CRN_CAPTURE_MEMOS];   /* whose */
};

/* For another thread: what was learnt of code stays, what was learnt of stacks is forgotten. */
void crn_capture_reset(struct crn_capture *capture);

/* Chooses the memo of a stack that is entered; `coro`: the coroutine on it, `is_own`: none is. */
void crn_capture_enter(struct crn_capture *capture, struct crn_stack_bounds stack, uint32_t coro,
                       bool is_own);

#endif
