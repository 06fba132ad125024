#ifndef CRN_SWITCH_H
#define CRN_SWITCH_H
/*
 * Runs a function on another stack: the program's may be 2 KiB small.
 */
#include "base/base.h"

/* The registers a callee must keep, as they were at the call, and where the stack was. */
struct crn_saved_registers {
    uintptr_t rbx, rbp, r12, r13, r14, r15;
    uintptr_t rsp; /* after the call returns */
    uintptr_t pc;  /* where it returns to */
};

/*
 * Calls function(argument, registers) on the stack that ends at `stack_end` and returns when it
 * does.  `registers` are the caller's.
 */
void crn_stack_call(void (*function)(void *argument, const struct crn_saved_registers *registers),
                    void *argument, void *stack_end);

#endif
