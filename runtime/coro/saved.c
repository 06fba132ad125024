/*
 * The recogniser of a switch in two halves, like setjmp and longjmp (State Threads): sp and rip lie
 * side by side in memory, and rip is the return address of a call to the half that saves.
 */
#include "coro/parked.h"
#include "base/sys.h"

#include <string.h>

bool crn_saved_may_be(const struct crn_code *code, uintptr_t address, struct crn_range run)
{
    if (address - run.start < 8 || address + 16 > run.end)
        return true;
    return crn_code_holds(code, *(const uintptr_t *)(address - 8), 1) ||
           crn_code_holds(code, *(const uintptr_t *)(address + 8), 1);
}

bool crn_saved_find(const struct crn_code *code, uintptr_t address, uintptr_t rsp,
                    struct crn_stack_bounds bounds, struct crn_place *place)
{
    uintptr_t around[3]; /* before it, itself, behind it */
    memset(place, 0, sizeof *place);
    if (!crn_memory_read(around, address - sizeof around[0], sizeof around))
        return false;
    for (unsigned i = 0; i <= 2; i += 2) {
        if (!crn_code_holds(code, around[i], 1))
            continue;
        struct crn_switcher saver = crn_switcher_of(code, around[i]);
        if (!saver.is_saver)
            continue;
        place->mechanism = CRN_MECHANISM_SWITCH;
        place->pc = around[i];
        place->sp = place->frame_sp = rsp;
        place->is_held = true;
        if (saver.bp_beside != CRN_SWITCHER_NO_BP)
            crn_memory_read(&place->bp, address + (uintptr_t)(intptr_t)saver.bp_beside,
                            sizeof place->bp);
        crn_place_follow(code, bounds, false, place);
        return true;
    }
    return false;
}
