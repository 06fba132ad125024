/*
 * The generic recogniser: a stack that allocation happens on and that is no thread's.
 *
 * How it switches is not known, nor whether it will run again.  Unknown means live: its memory is
 * a root, all of it that was touched, and it never bears a verdict.
 */
#include "coro/announced.h"

static void body_get(const struct crn_coro *coro, struct crn_coro_body *body)
{
    body->start = coro->stack_start;
    body->end = coro->stack_end;
    body->word_count = 0;
    body->is_exact = false;
}

static unsigned contexts_get(const struct crn_coro *coro, struct crn_coro_context contexts[4])
{
    (void)coro;
    (void)contexts;
    return 0;
}

static bool frame_get(const struct crn_coro *coro, struct crn_frame *frame)
{
    (void)coro;
    (void)frame;
    return false;
}

const struct crn_announced_kind crn_announced_stack = {
    .mechanism = CRN_MECHANISM_STACK,
    .body_get = body_get,
    .contexts_get = contexts_get,
    .frame_get = frame_get,
};
