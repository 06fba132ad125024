/*
 * The recogniser of stacks left by siglongjmp: QEMU, GNU Pth, libpcl.
 *
 * glibc's jmp_buf (sysdeps/x86_64/jmpbuf-offsets.h), with what PTR_MANGLE hides in brackets:
 *
 *     rbx [rbp] r12 r13 r14 r15 [rsp] [rip]
 *
 * The proof is that both hidden words, undone, make sense together: rsp lies on a coroutine's stack,
 * and rip behind a call.  But many keep a jmp_buf to come back to when something fails, and are
 * parked further in.  Who switches by it calls longjmp in the very frame that called setjmp, and the
 * call's return address stays below rsp:
 *
 *     rsp - 8 | return address | behind a call to siglongjmp
 *     rsp     | the frame of the function that switches
 */
#include "coro/parked.h"
#include "base/sys.h"

#include <setjmp.h>
#include <string.h>

enum { RBX, RBP_, R12, R13, R14, R15, RSP_, RIP_, WORDS };

extern _Noreturn void crn_longjmp_checked(jmp_buf, int) __asm__("__longjmp_chk")
    __attribute__((weak));

/* Whether the frame whose sp is `rsp` left by longjmp. */
static bool has_jumped(const struct crn_code *code, uintptr_t rsp, struct crn_stack_bounds bounds)
{
    if (rsp < bounds.start + sizeof(uintptr_t) || rsp % sizeof(uintptr_t) != 0)
        return false;
    uintptr_t return_address;
    if (!crn_memory_read(&return_address, rsp - sizeof(uintptr_t), sizeof return_address))
        return false;
    uintptr_t callee = crn_code_callee(code, return_address);
    return callee != 0 && (callee == (uintptr_t)longjmp || callee == (uintptr_t)_longjmp ||
                           callee == (uintptr_t)siglongjmp ||
                           callee == (uintptr_t)crn_longjmp_checked);
}

bool crn_setjmp_find(const struct crn_code *code, uintptr_t address, uintptr_t rsp,
                     struct crn_stack_bounds bounds, struct crn_place *place)
{
    uintptr_t words[WORDS], guard = crn_setjmp_guard();
    uintptr_t start = address - RSP_ * sizeof words[0];
    if (!crn_memory_read(words, start, sizeof words))
        return false;
    memset(place, 0, sizeof *place);
    place->pc = crn_setjmp_unmangle(words[RIP_], guard);
    if (!crn_code_follows_call(code, place->pc) || !has_jumped(code, rsp, bounds))
        return false;
    place->mechanism = CRN_MECHANISM_SETJMP;
    place->sp = place->frame_sp = rsp;
    place->bp = crn_setjmp_unmangle(words[RBP_], guard);
    place->area_start = start;
    place->area_end = start + sizeof words;
    place->is_held = true;
    const uintptr_t kept[6] = {words[RBX], place->bp,  words[R12],
                               words[R13], words[R14], words[R15]};
    memcpy(place->registers, kept, sizeof kept);
    crn_place_follow(code, bounds, false, place);
    return true;
}
