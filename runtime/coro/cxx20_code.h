#ifndef CRN_CXX20_CODE_H
#define CRN_CXX20_CODE_H
/*
 * What compilers make of C++20 coroutines, as it shows in machine code: the second proof that two
 * words are the head of a coroutine frame.  All of it holds in stripped binaries.
 *
 * gcc (12) makes two functions of a coroutine.  The one that destroys notes in the frame's
 * resume index that it does, and goes to the one that resumes, the "actor":
 *
 *     orw $1, INDEX(%rdi)        at -O0: movzwl INDEX(%rax),%eax; or $1,%eax; mov %dx,INDEX(%rax)
 *     jmp actor                  below -O2: call; at -O3 the actor may stand here itself
 *
 * clang (14 and 19) makes resume, destroy and at times cleanup, one after the other.  Where the
 * coroutine is called, the ramp puts their addresses into the new frame:
 *
 *     lea resume(%rip),%rcx      without -fPIE: movq $resume,(%rax), or mov $resume,%ecx
 *     mov %rcx,(%rax)
 *     lea destroy(%rip),%rcx     at -O0 a cmov chooses between this and cleanup
 *     mov %rcx,8(%rax)
 *
 * and at the final suspension point resume says so by movq $0,(frame).
 */
#include "code/code.h"
#include "stack/rules.h"

/* Whether a function of the program starts exactly at `address`. */
bool crn_code_is_function(uintptr_t address, struct crn_function *function);

/*
 * gcc's function that destroys a frame, whose first word is `resume`, which must then go with it;
 * 0: not known.
 */
struct crn_gcc_destroy {
    uintptr_t actor;   /* where the actor cannot be told, the function itself */
    uint32_t index_at; /* where in the frame the resume index lies, 16 bits */
};
bool crn_gcc_destroy_read(const struct crn_code *code, const struct crn_function *function,
                          uintptr_t resume, struct crn_gcc_destroy *destroy);

/*
 * Where the actor stores `index` as the resume index, which it does for each suspension point, and
 * for no other reason: the code of that point.  0: not found.
 */
uintptr_t crn_gcc_suspension_find(const struct crn_code *code, uintptr_t actor, uint32_t index_at,
                                  uint16_t index);

/* Whether a function stores NULL to the first word of something. */
bool crn_code_clears_first_word(const struct crn_code *code, const struct crn_function *function);

/*
 * Calls visit(resume, destroy) for each ramp of clang's in [start, end), a range of code; one ramp
 * may come twice, inlined.  Reads every byte: about a millisecond a megabyte.
 */
void crn_ramps_for_each(const struct crn_code *code, uintptr_t start, uintptr_t end,
                        void (*visit)(uintptr_t resume, uintptr_t destroy, void *user), void *user);

#endif
