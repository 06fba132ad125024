#ifndef CRN_SWITCH_H
#define CRN_SWITCH_H
/*
 * Runs a function on another stack: the program's may be 2 KiB small.
 */
#include "base/vm.h"

/* The registers a callee must keep, as they were at the call, and where the stack was. */
struct crn_saved_registers {
    uintptr_t rbx, rbp, r12, r13, r14, r15;
    uintptr_t rsp; /* after the call returns */
    uintptr_t pc;  /* where it returns to */
};

/*
 * Calls function(argument, registers) on the stack that ends at `stack_end` and returns when it
 * does.  `registers` are the caller's, and lie right below the (aligned) end.
 */
void crn_stack_call(void (*function)(void *argument, const struct crn_saved_registers *registers),
                    void *argument, void *stack_end);

/*
 * The same on a stack that is mapped for the call and unmapped after it.  False: there was no memory
 * for one, and nothing was called.  In line, so that the registers are those of the caller.
 */
CRN_INLINE bool crn_stack_call_mapped(void (*function)(void *argument,
                                                       const struct crn_saved_registers *registers),
                                      void *argument, size_t stack_bytes)
{
    char *stack = crn_vm_map(stack_bytes);
    if (stack == NULL)
        return false;
    crn_stack_call(function, argument, stack + stack_bytes);
    crn_vm_unmap(stack, stack_bytes);
    return true;
}

#endif
