/*
 * The recogniser of switches that leave their registers on the stack they leave: Boost's fcontext
 * and its copies (PHP), Ruby's coroutines, libcoro, libco, minicoro and what people write
 * themselves.
 *
 *     sp   --> | mxcsr, r12 … rbx, rbp |   fcontext: 0x38 or 0x40 bytes
 *              |   or r15 … rbx, rbp   |   six pushed registers: 0x30 bytes
 *              |   or nothing          |   registers saved elsewhere
 *     slot --> | return address        |   behind a call to the switch function
 *
 * The proof is in the code of the function that was called (switcher.h).
 */
#include "coro/parked.h"
#include "base/sys.h"

#include <string.h>

bool crn_pushed_find(const struct crn_code *code, uintptr_t slot, struct crn_stack_bounds bounds,
                     struct crn_place *place)
{
    uintptr_t pc = *(const uintptr_t *)slot;
    struct crn_switcher switcher = crn_switcher_of(code, pc);
    if (!switcher.is_switch || slot - (uintptr_t)(intptr_t)switcher.depth < bounds.start)
        return false;
    memset(place, 0, sizeof *place);
    place->mechanism = switcher.mechanism;
    place->pc = pc;
    place->sp = slot - (uintptr_t)(intptr_t)switcher.depth;
    place->frame_sp = slot + sizeof(uintptr_t);
    uintptr_t bp_at = slot - (uintptr_t)(intptr_t)switcher.bp_depth;
    if (switcher.bp_depth != CRN_SWITCHER_NO_BP && bp_at >= bounds.start &&
        bp_at + sizeof(uintptr_t) <= bounds.end)
        crn_memory_read(&place->bp, bp_at, sizeof place->bp); /* a guard page may lie below */
    place->wants_bp =
        switcher.bp_depth == CRN_SWITCHER_NO_BP && switcher.bp_beside != CRN_SWITCHER_NO_BP;
    crn_place_follow(code, bounds, false, place);
    return true;
}

bool crn_pushed_is_call(const struct crn_code *code, uintptr_t return_address)
{
    return crn_switcher_of(code, return_address).is_switch;
}
