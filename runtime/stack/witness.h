#ifndef CRN_WITNESS_H
#define CRN_WITNESS_H
/*
 * Other people's unwinders, asked where a stack leads: the witnesses of verify.h.
 *
 * libunwind starts from all registers and goes step by step, with its full machinery and none of
 * ours.  libgcc's unwinder, which throws C++ exceptions, is asked only where the two of us differ.
 *
 * Not re-entrant: the caller sees to it that one thread at a time is here.
 */
#include "base/switch.h"

enum {
    CRN_WITNESS_FRAMES_MAX = (1 << 16) + (1 << 13), /* more than crn_stack_capture keeps */
    CRN_WITNESS_OWN_FRAMES_MAX = 64,                /* between us and the interposed function */
};

/* A stack as a witness saw it, from the caller of the interposed function outwards. */
struct crn_witness_walk {
    uintptr_t *pcs; /* return addresses, or where a signal interrupted */
    uintptr_t *sps; /* rsp in that frame */
    uint32_t count; /* 0: it did not come past the interposed function */
    int status;     /* libunwind's last word: 0 at the end of the stack, or negative */
};

/* Opens both libraries, privately.  False: one of them is missing.  Not async-signal-safe. */
bool crn_witness_start(void);

/* The registers at the place where this stands, for crn_witness_libunwind. */
CRN_INLINE void crn_witness_registers_take(struct crn_saved_registers *registers)
{
    __asm__ volatile("movq %%rbx, (%0)\n\t"
                     "movq %%rbp, 8(%0)\n\t"
                     "movq %%r12, 16(%0)\n\t"
                     "movq %%r13, 24(%0)\n\t"
                     "movq %%r14, 32(%0)\n\t"
                     "movq %%r15, 40(%0)\n\t"
                     "movq %%rsp, 48(%0)\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "movq %%rax, 56(%0)\n"
                     "1:"
                     :
                     : "D"(registers)
                     : "rax", "memory");
}

/*
 * Walks from `registers` to the caller of the function with this frame address, then on to the end.
 * libunwind remembers code by address: flush where modules went away.
 */
void crn_witness_libunwind(const struct crn_saved_registers *registers, const uintptr_t *frame,
                           struct crn_witness_walk *walk);
void crn_witness_flush(void);

/* The same by libgcc, from where it is called. */
void crn_witness_libgcc(const uintptr_t *frame, struct crn_witness_walk *walk);

/* Whether libgcc finds unwind information for the code at `address`, registered at run time too. */
bool crn_witness_knows(uintptr_t address);

#endif
