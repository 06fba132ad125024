/*
 * Follows a parked stack to its base.  See parked.h.
 */
#include "coro/parked.h"

static bool is_in(struct crn_stack_bounds bounds, uintptr_t address)
{
    return address >= bounds.start && address + sizeof(uintptr_t) <= bounds.end &&
           address % sizeof(uintptr_t) == 0;
}

/* Whether the upper bits of an address repeat the highest of the 48 that count. */
static bool is_canonical(uintptr_t address)
{
    return (uintptr_t)((intptr_t)(address << 16) >> 16) == address;
}

/* The CFA of a frame whose caller crn_frame_step does not know; 0: not to be had. */
static uintptr_t frame_end(const struct crn_frame *frame, struct crn_stack_bounds bounds)
{
    struct crn_rule rule = crn_rule_get(frame->is_exact ? frame->pc : frame->pc - 1);
    uintptr_t cfa = 0;
    if (rule.kind == CRN_RULE_RSP)
        cfa = frame->sp + (uintptr_t)(intptr_t)rule.cfa_offset;
    else if (rule.kind == CRN_RULE_RBP)
        cfa = frame->bp + (uintptr_t)(intptr_t)rule.cfa_offset;
    return cfa > frame->sp && is_in(bounds, cfa - sizeof(uintptr_t)) ? cfa : 0;
}

void crn_place_follow(const struct crn_code *code, struct crn_stack_bounds bounds,
                      bool is_executing, struct crn_place *place)
{
    struct crn_frame frame = {place->pc, place->frame_sp, place->bp, is_executing};
    uintptr_t slot, bp_slot, inner = 0; /* pc of the frame before this one */
    place->quality = CRN_BASE_BROKEN;
    place->frames = 0;
    for (; place->frames < CRN_STACK_DEPTH_MAX; place->frames++) {
        if (inner != 0 && !crn_code_holds(code, frame.pc, 1)) {
            /* Some libraries put a marker where a caller should be.  No address can look like one
             * that is not canonical. */
            place->quality = is_canonical(frame.pc) ? CRN_BASE_WEAK : CRN_BASE_PROPER;
            break;
        }
        if (inner != 0 && !crn_code_follows_call(code, frame.pc)) {
            place->quality = CRN_BASE_PROPER; /* a trampoline, or a function to "return" to */
            break;
        }
        struct crn_frame outer = frame;
        if (!crn_frame_step(&outer, bounds, false, &slot, &bp_slot)) {
            uint8_t kind = crn_rule_get(frame.is_exact ? frame.pc : frame.pc - 1).kind;
            uintptr_t end = frame_end(&frame, bounds);
            /* State Threads enters from a frame of its creator's, whose rbp stays behind. */
            /* libcoro "returns" to abort, which may lie behind a call of the function before it. */
            struct crn_function function;
            bool is_start = inner != 0 && crn_function_find(frame.pc, &function) &&
                            function.start == frame.pc;
            bool is_creators = kind == CRN_RULE_RBP && place->is_held && inner != 0 &&
                               !is_in(bounds, frame.bp);
            if (end != 0 && *(const uintptr_t *)(end - sizeof(uintptr_t)) == 0) {
                place->quality = CRN_BASE_PROPER; /* "returns" to 0 */
                inner = frame.pc;
                frame.sp = end;
            } else if (kind == CRN_RULE_NONE && !crn_function_find(frame.pc, &function)) {
                break; /* made at run time: who called it, nothing tells */
            } else if (kind == CRN_RULE_END || kind == CRN_RULE_NONE || kind == CRN_RULE_FRAME ||
                       is_creators || is_start) {
                place->quality = inner != 0 ? CRN_BASE_PROPER : CRN_BASE_WEAK;
            }
            break;
        }
        inner = frame.pc;
        frame = outer;
    }
    place->base = frame.sp;
    place->entry = inner;
}
