#ifndef CRN_PLACES_H
#define CRN_PLACES_H
/*
 * Programs that change who they are, where they are, or what they may do.
 */
#include "base/base.h"

/* Arguments of syscall(2), the number first. */
struct crn_syscall_arguments {
    long words[7];
};

/*
 * For syscall(2), before one of the calls that are marked in crn_syscall_marks.  Answers whether
 * that was all; words[0] is then the result, as libc's syscall has it.
 */
bool crn_note_syscall(struct crn_syscall_arguments *call) __attribute__((visibility("hidden")));

#endif
