#ifndef CRN_PARKED_H
#define CRN_PARKED_H
/*
 * Stacks that were left by a switch nobody told us of: where did they stop?
 *
 * A place is what the recognisers of such switches find in memory: registers that were saved when
 * a stack was left.  One stack shows several: the one it is parked at, older ones below it that
 * popped frames left behind, and copies in uninitialised variables.  Each is followed outwards,
 * frame by frame, to the stack's base; places with the same base belong to one coroutine:
 *
 *     low                  sp          return address                     base
 *      | dead frames, older  | registers | frame | frame | … | entry frame |  control data …
 *      |     places          |             followed outwards  ----------->  |
 *
 * Recognisers are a file and a row of the table each: finder.h.
 */
#include "coro/switcher.h"
#include "stack/unwind.h"

/* How the walk outwards ended, the better the greater. */
enum crn_base_quality {
    CRN_BASE_BROKEN,  /* in the middle of nowhere: this was no live frame chain */
    CRN_BASE_WEAK,    /* at something that is no code */
    CRN_BASE_PROPER,  /* at a frame without a caller, or the trampoline that called the entry */
};

struct crn_place {
    uintptr_t sp;                       /* what was saved: the body begins here */
    uintptr_t pc, frame_sp, bp;         /* registers of the frame that called the switch */
    uintptr_t base;                     /* where its stack begins: the outermost frame's CFA */
    uintptr_t entry;                    /* code of the outermost frame */
    uintptr_t area_start, area_end;     /* a saved context outside the stack; 0, 0: none */
    uintptr_t registers[6];             /* saved there: rbx rbp r12 r13 r14 r15 */
    uint32_t territory;                 /* for the caller */
    uint32_t frames;                    /* that were followed */
    uint8_t mechanism;                  /* enum crn_mechanism */
    uint8_t quality;                    /* enum crn_base_quality */
    bool wants_bp;                      /* rbp lies beside the word that holds sp: not followed yet */
    bool is_held;                       /* some word in memory is this sp */
};

/*
 * Is the word at `slot`, on the stack [bounds), the return address of a call to a context switch
 * that parked this stack?  Fills sp, pc, bp, base, entry, mechanism and quality.  Reads only the
 * stack and code.
 */
bool crn_pushed_find(const struct crn_code *code, uintptr_t slot, struct crn_stack_bounds bounds,
                     struct crn_place *place);

/* Whether code at this return address is such a call. */
bool crn_pushed_is_call(const struct crn_code *code, uintptr_t return_address);

/*
 * The same for a switch in two halves: is the word at `address`, which is `rsp`, the sp that a setjmp of
 * the program's own kept, with rip beside it?
 */
bool crn_saved_find(const struct crn_code *code, uintptr_t address, uintptr_t rsp,
                    struct crn_stack_bounds bounds, struct crn_place *place);

/* Cheaply: whether it may be that, in the readable memory `run` around it. */
bool crn_saved_may_be(const struct crn_code *code, uintptr_t address, struct crn_range run);

/*
 * Do the registers that glibc's setjmp saved lie around `address`, with rsp there, by who then left
 * with longjmp?  `rsp` is what that word says (crn_setjmp_unmangle), inside [bounds).  Fills all but
 * `territory`.
 */
bool crn_setjmp_find(const struct crn_code *code, uintptr_t address, uintptr_t rsp,
                     struct crn_stack_bounds bounds, struct crn_place *place);

/* What glibc's PTR_MANGLE made of a pointer, undone: rol 17 of the value xor the guard. */
CRN_INLINE uintptr_t crn_setjmp_unmangle(uintptr_t word, uintptr_t guard)
{
    return (word >> 17 | word << 47) ^ guard;
}

/* The guard of this process, the same in all threads (sysdeps/unix/sysv/linux/x86_64). */
CRN_INLINE uintptr_t crn_setjmp_guard(void)
{
    uintptr_t guard;
    __asm__("movq %%fs:0x30, %0" : "=r"(guard));
    return guard;
}

/* Follows the frames outwards from place's pc, frame_sp, bp: fills base, entry and quality. */
void crn_place_follow(const struct crn_code *code, struct crn_stack_bounds bounds,
                      bool is_executing, struct crn_place *place);

#endif
