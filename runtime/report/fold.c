/*
 * Finds frames that come again.  See fold.h.
 */
#include "report/fold.h"

#include <stdlib.h>

enum { LENGTH_MAX = 12 }; /* functions that call each other in a circle */

static bool frames_are_alike(const struct crn_named_frame *a, const struct crn_named_frame *b)
{
    return a == b || (a->alike != NULL && a->alike == b->alike);
}

/* How often the `length` frames at `at` stand there in a row. */
static uint32_t times_of(const struct crn_stack *stack, uint32_t count, uint32_t at,
                         uint32_t length)
{
    uint32_t end = at + length;
    while (end < count && frames_are_alike(stack->frames[end], stack->frames[end - length]))
        end++;
    return (end - at) / length;
}

uint32_t crn_stack_fold(const struct crn_stack *stack, uint32_t count, struct crn_run *runs)
{
    uint32_t made = 0;
    for (uint32_t at = 0; at < count;) {
        struct crn_run run = {at, 1, 1};
        for (uint32_t length = 1; length <= LENGTH_MAX && at + 2 * length <= count; length++) {
            uint32_t times = times_of(stack, count, at, length);
            if (times >= 2) {
                run = (struct crn_run){at, length, times};
                break;
            }
        }
        runs[made++] = run;
        at += run.length * run.times;
    }
    return made;
}

uint64_t crn_stack_fold_key(const struct crn_stack *stack)
{
    uint64_t key = 0;
    if (stack == NULL)
        return 0;
    struct crn_run *runs = calloc(stack->count + 1, sizeof *runs);
    if (runs == NULL)
        crn_out_of_memory();
    uint32_t count = crn_stack_fold(stack, stack->count, runs);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < runs[i].length; j++) {
            const struct crn_named_frame *frame = stack->frames[runs[i].at + j];
            uintptr_t what = (uintptr_t)(frame->alike != NULL ? (const void *)frame->alike : frame);
            key = crn_hash64(key * 0x9e3779b97f4a7c15u + what + 1);
        }
    free(runs);
    return key;
}
