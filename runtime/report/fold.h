#ifndef CRN_REPORT_FOLD_H
#define CRN_REPORT_FOLD_H
/*
 * Recursion in stacks: frames that come again and again in the same order are one run.
 *
 *     walk next resume walk next resume walk next resume main   =   (walk next resume) x 3, main
 */
#include "report/model.h"

/* Frames [at, at + length) of a stack, which stand there `times` times in a row. */
struct crn_run {
    uint32_t at, length, times;
};

/*
 * Cuts the first `count` frames of a stack into runs, of which `runs` has room for `count`; answers
 * how many.  What does not come again is a run of one frame.
 */
uint32_t crn_stack_fold(const struct crn_stack *stack, uint32_t count, struct crn_run *runs);

/* Equal for stacks that differ only in how often something comes again. */
uint64_t crn_stack_fold_key(const struct crn_stack *stack);

#endif
