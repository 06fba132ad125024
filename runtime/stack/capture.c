/*
 * What a thread keeps for the stacks that it takes.  See capture.h.
 */
#include "stack/capture.h"

void crn_capture_reset(struct crn_capture *capture)
{
    for (unsigned i = 0; i < CRN_CAPTURE_MEMOS; i++) {
        crn_memo_reset(&capture->memos[i], (struct crn_stack_bounds){0, 0});
        capture->memo_coros[i] = 0;
    }
    capture->memo = NULL;
    capture->until_sample = 0;
    capture->sampler = (struct crn_sampler){0};
}

void crn_capture_enter(struct crn_capture *capture, struct crn_stack_bounds stack, uint32_t coro,
                       bool is_own)
{
    unsigned at = is_own ? 0 : 1 + (coro + (unsigned)(stack.start >> 16)) % (CRN_CAPTURE_MEMOS - 1);
    struct crn_memo *memo = capture->memo = &capture->memos[at];
    if (memo->bounds.start != stack.start || memo->bounds.end != stack.end ||
        capture->memo_coros[at] != coro) {
        /* Its slots may lie on a stack that is gone. */
        crn_memo_reset(memo, stack);
        capture->memo_coros[at] = coro;
    }
}
