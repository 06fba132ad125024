#ifndef CRN_RULES_H
#define CRN_RULES_H
/*
 * How to get from a call frame to its caller, compiled once for each code address.
 *
 * DWARF call frame information says it with a little program per function.  Nearly all of them
 * boil down to "the CFA is rsp + n" or "rbp + n, and rbp was saved at CFA - m", which fits in
 * eight bytes.  A rule is looked up by the address that was executing: a return address less one.
 *
 * The table belongs to the process, and finding takes no lock.  What the eight bytes cannot say
 * is CRN_RULE_OTHER, and goes to libunwind (unwind_libunwind.c).
 */
#include "base/base.h"

enum crn_rule_kind {
    CRN_RULE_NONE,      /* no call frame information covers this address (JIT code) */
    CRN_RULE_ELSEWHERE, /* known, but told by registers beside rsp and rbp, which nobody follows */
    CRN_RULE_END,       /* the outermost frame: no caller */
    CRN_RULE_RSP,       /* CFA = rsp + cfa_offset; those below depend on rbp */
    CRN_RULE_FRAME,     /* as NONE, but the code of a module that keeps a frame pointer */
    CRN_RULE_RBP,       /* CFA = rbp + cfa_offset */
    CRN_RULE_RBP_DEREF, /* CFA = *(rbp + cfa_offset): gcc's realigned stack */
    CRN_RULE_SIGNAL,    /* a signal frame: the kernel's ucontext_t lies at rsp */
    CRN_RULE_OTHER,     /* known, but not expressible here */
};

enum crn_rbp_rule {
    CRN_RBP_SAME,    /* the caller's rbp is still in the register */
    CRN_RBP_AT_CFA,  /* saved at CFA + rbp_offset */
    CRN_RBP_AT_RBP,  /* saved at rbp + rbp_offset */
};

struct crn_rule {
    uint8_t kind;       /* enum crn_rule_kind */
    uint8_t rbp;        /* enum crn_rbp_rule */
    int16_t rbp_offset; /* bytes */
    int32_t cfa_offset; /* bytes */
};

/* The rule for the code at `address`, compiled now if it is new.  Async-signal-safe. */
struct crn_rule crn_rule_get(uintptr_t address);

/* Compiles without looking in the table; for tests. */
struct crn_rule crn_rule_compile(uintptr_t address);

/*
 * Whether the code of a module around a return address keeps a frame pointer: the prologue of its
 * function comes before it, and between them no other function ends.  rbp alone proves nothing: in
 * code that leaves it alone it is still the caller's, whose frame would be skipped.
 */
bool crn_code_keeps_frame_pointer(uintptr_t pc);

/* A function, as unwind information delimits it, and the module it lies in. */
struct crn_function {
    uintptr_t start, end;
    uintptr_t module_start, module_end;
};

/*
 * The function that holds `address`, or the last one below it in the same module (then `end` is at
 * or below `address`).  False: there is no unwind information to tell.  Async-signal-safe.
 */
bool crn_function_find(uintptr_t address, struct crn_function *function);

/*
 * Where the function at `address` has exceptions land: the address of its language specific data,
 * 0 where it has none.  Async-signal-safe.
 */
uintptr_t crn_function_lsda(uintptr_t address);

/*
 * Whether a function has saved its caller's value of a register that calls keep, when it is about
 * to execute the instruction at `address`; `column` is the register's number in DWARF.  Then
 * `*offset` is where, in bytes from the frame's CFA.  Async-signal-safe.
 */
enum crn_saved {
    CRN_SAVED_UNKNOWN, /* unwind information does not tell, or not in a way we read */
    CRN_SAVED_NOT,     /* the register is still the caller's */
    CRN_SAVED_AT,      /* it is the function's own, and the caller's value lies at *offset */
};
enum crn_saved crn_saved_at(uintptr_t address, unsigned column, int64_t *offset);

/*
 * Forgets all rules: code was unmapped, and its addresses may come again with other code.  Whoever
 * keeps rules of its own compares the epoch before it uses them.
 */
void crn_rules_flush(void);
extern _Atomic uint32_t crn_rules_epoch;

void crn_rules_after_fork(void);

#endif
