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
    place->sp = slot + sizeof(uintptr_t);
    if (switcher.bp_depth != CRN_SWITCHER_NO_BP &&
        slot - (uintptr_t)(intptr_t)switcher.bp_depth >= bounds.start)
        place->bp = *(const uintptr_t *)(slot - (uintptr_t)(intptr_t)switcher.bp_depth);
    crn_place_follow(code, bounds, false, place);
    place->sp = slot - (uintptr_t)(intptr_t)switcher.depth;
    return true;
}
