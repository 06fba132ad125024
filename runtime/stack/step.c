/*
 * One step from a call frame to its caller, in every way there is.  See unwind.h.
 */
#include "stack/unwind.h"

#include <dlfcn.h>
#include <ucontext.h>

CRN_INLINE uintptr_t word_at(uintptr_t address)
{
    return *(const uintptr_t *)address;
}

/* Whether a word lies on the stack. */
CRN_INLINE bool is_inside(uintptr_t address, struct crn_stack_bounds bounds)
{
    return address >= bounds.start && address < bounds.end && bounds.end - address >= 8;
}

static bool is_code(uintptr_t address)
{
    struct dl_find_object object;
    return _dl_find_object((void *)address, &object) == 0;
}

/* Code without unwind information that keeps a frame pointer. */
static bool frame_pointer_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                               struct crn_stride *stride)
{
    uintptr_t bp = frame->bp;
    if (frame->is_exact || bp < frame->sp || !is_inside(bp, bounds) || !is_inside(bp + 8, bounds) ||
        (bp & 7) != 0)
        return false;
    stride->end_word = bp + 8;
    if (!is_code(word_at(bp + 8) - 1))
        return false;
    stride->slot = bp + 8;
    stride->bp_from = bp;
    *frame = (struct crn_frame){word_at(bp + 8), bp + 16, word_at(bp), false};
    return true;
}

/* From a handler's frame to the code the signal interrupted. */
static bool signal_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                        struct crn_stride *stride)
{
    if (frame->sp >= bounds.end || bounds.end - frame->sp < sizeof(ucontext_t))
        return false;
    const ucontext_t *context = (const ucontext_t *)frame->sp;
    const greg_t *registers = context->uc_mcontext.gregs;
    uintptr_t sp = (uintptr_t)registers[REG_RSP];
    if (sp <= frame->sp || sp >= bounds.end) {
        stride->end_word = (uintptr_t)&registers[REG_RSP];
        return false;
    }
    stride->is_proven = false;
    stride->slot = (uintptr_t)&registers[REG_RIP];
    stride->bp_from = (uintptr_t)&registers[REG_RBP];
    *frame =
        (struct crn_frame){(uintptr_t)registers[REG_RIP], sp, (uintptr_t)registers[REG_RBP], true};
    return true;
}

static bool libunwind_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                           struct crn_stride *stride)
{
    enum { ROOM_BYTES = 7 * 1024 }; /* its cursor, a context, and its own calls */
    struct crn_frame next = *frame;
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    if (is_inside(here, bounds) && here - bounds.start < ROOM_BYTES)
        return false;
    if (!crn_libunwind_step(&next) || next.pc == 0 || next.sp <= frame->sp || next.sp > bounds.end)
        return false;
    stride->slot = next.sp - 8;
    *frame = next;
    return true;
}

bool crn_frame_stride(struct crn_frame *frame, struct crn_stack_bounds bounds,
                      bool may_call_libunwind, struct crn_stride *stride)
{
    struct crn_rule rule = crn_rule_get(frame->is_exact ? frame->pc : frame->pc - 1);
    uintptr_t cfa;
    *stride = (struct crn_stride){.uses_bp = rule.kind > CRN_RULE_RSP || rule.rbp == CRN_RBP_AT_RBP,
                                  .is_proven = true};
    switch (rule.kind) {
    case CRN_RULE_RSP:
        cfa = frame->sp + (uintptr_t)(intptr_t)rule.cfa_offset;
        break;
    case CRN_RULE_RBP:
        cfa = frame->bp + (uintptr_t)(intptr_t)rule.cfa_offset;
        break;
    case CRN_RULE_RBP_DEREF:
        cfa = frame->bp + (uintptr_t)(intptr_t)rule.cfa_offset;
        if (!is_inside(cfa, bounds) || (cfa & 7) != 0)
            return false;
        stride->cfa_from = stride->end_word = cfa;
        cfa = word_at(cfa);
        break;
    case CRN_RULE_SIGNAL:
        return signal_step(frame, bounds, stride);
    case CRN_RULE_FRAME:
        return frame_pointer_step(frame, bounds, stride);
    case CRN_RULE_OTHER:
        stride->is_proven = false;
        return may_call_libunwind && libunwind_step(frame, bounds, stride);
    default:
        return false;
    }
    if (CRN_UNLIKELY(cfa <= frame->sp || cfa > bounds.end || cfa - 8 < bounds.start ||
                     (cfa & 7) != 0))
        return false;
    uintptr_t bp = frame->bp;
    if (rule.rbp != CRN_RBP_SAME) {
        uintptr_t from =
            (rule.rbp == CRN_RBP_AT_CFA ? cfa : bp) + (uintptr_t)(intptr_t)rule.rbp_offset;
        if (CRN_UNLIKELY(!is_inside(from, bounds)))
            return false;
        stride->bp_from = from;
        bp = word_at(from);
    }
    uintptr_t pc = word_at(cfa - 8);
    if (pc == 0) {
        stride->end_word = cfa - 8;
        return false;
    }
    stride->slot = cfa - 8;
    *frame = (struct crn_frame){pc, cfa, bp, false};
    return true;
}

bool crn_frame_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                    bool may_call_libunwind, uintptr_t *slot, uintptr_t *bp_slot)
{
    struct crn_stride stride;
    if (!crn_frame_stride(frame, bounds, may_call_libunwind, &stride))
        return false;
    *slot = stride.slot;
    *bp_slot = stride.bp_from;
    return true;
}
