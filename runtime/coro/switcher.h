#ifndef CRN_SWITCHER_H
#define CRN_SWITCHER_H
/*
 * Is this the return address of a call to a context switch?
 *
 * A function that keeps its stack pointer somewhere and then takes another one from somewhere else
 * is a context switch, whatever it is called and whoever wrote it.  We follow the call that a
 * return address belongs to (through the PLT, function pointers and tail jumps) and read the
 * straight line of instructions at its target:
 *
 *     push %rbp; push %rbx; push %r12 .. push %r15     ->  the frame is 48 bytes deep
 *     mov  %rsp,(%rdi)                                 ->  kept: sp = return address slot - 48
 *     mov  (%rsi),%rsp                                 ->  taken: it is a switch
 *
 * That tells where sp of the suspended stack is, and where its rbp lies.  Functions with a
 * variable-length array keep and take rsp too, but take back what they kept.  A function that keeps
 * it and returns is half a switch, like setjmp.
 */
#include "base/words.h"
#include "code/code.h"

enum { CRN_SWITCHER_NO_BP = INT16_MIN };

struct crn_switcher {
    bool is_switch;
    bool is_saver;     /* keeps rsp, and returns: a setjmp of the program's own */
    uint8_t mechanism; /* FCONTEXT or SWITCH (enum crn_mechanism) */
    int16_t depth;     /* the saved sp is the return address' slot less this, bytes */
    int16_t bp_depth;  /* and rbp lies at the slot less this; or CRN_SWITCHER_NO_BP */
    int16_t bp_beside; /* or this far from the word that sp was saved to; or CRN_SWITCHER_NO_BP */
};

/* Reads code only, inside `code`.  Any thread; takes no lock. */
struct crn_switcher crn_switcher_of(const struct crn_code *code, uintptr_t return_address);

/*
 * The function that the call before `return_address` went to; 0: there is no call, or nothing tells.
 * Reads code, and the pointers that calls of other modules go through.
 */
uintptr_t crn_code_callee(const struct crn_code *code, uintptr_t return_address);

/* Whether the bytes before `address` are a call. */
bool crn_code_follows_call(const struct crn_code *code, uintptr_t address);

#endif
