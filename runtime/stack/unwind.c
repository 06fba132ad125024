/*
 * Walks stacks and remembers the last walk.  See unwind.h.
 */
#include "stack/unwind.h"

#include <dlfcn.h>
#include <string.h>
#include <ucontext.h>

CRN_INLINE uintptr_t word_at(uintptr_t address)
{
    return *(const uintptr_t *)address;
}

static bool is_code(uintptr_t address)
{
    struct dl_find_object object;
    return _dl_find_object((void *)address, &object) == 0;
}

/*
 * Code without unwind information, such as a JIT's: believe rbp when it looks like a frame
 * pointer, that is, points up this stack to a return address into known code.
 */
static bool frame_pointer_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                               uintptr_t *slot, uintptr_t *bp_slot)
{
    uintptr_t bp = frame->bp;
    if (bp < frame->sp || bp + 16 > bounds.end || (bp & 7) != 0 || !is_code(word_at(bp + 8) - 1))
        return false;
    *slot = bp + 8;
    *bp_slot = bp;
    *frame = (struct crn_frame){word_at(bp + 8), bp + 16, word_at(bp), false};
    return true;
}

/* From a handler's frame to the code the signal interrupted. */
static bool signal_step(struct crn_frame *frame, struct crn_stack_bounds bounds, uintptr_t *slot,
                        uintptr_t *bp_slot)
{
    if (frame->sp + sizeof(ucontext_t) > bounds.end)
        return false;
    const ucontext_t *context = (const ucontext_t *)frame->sp;
    const greg_t *registers = context->uc_mcontext.gregs;
    uintptr_t sp = (uintptr_t)registers[REG_RSP];
    if (sp <= frame->sp || sp >= bounds.end)
        return false;
    *slot = (uintptr_t)&registers[REG_RIP];
    *bp_slot = (uintptr_t)&registers[REG_RBP];
    *frame = (struct crn_frame){(uintptr_t)registers[REG_RIP], sp, (uintptr_t)registers[REG_RBP],
                                true};
    return true;
}

/* Whether a remembered step can be verified by what it read: see unwind.h. */
enum proof { PROOF_BY_SLOTS, PROOF_BY_CFA_TOO, PROOF_NONE };

static bool step(struct crn_frame *frame, struct crn_stack_bounds bounds, bool may_call_libunwind,
                 uintptr_t *slot, uintptr_t *bp_slot, enum proof *proof)
{
    *proof = PROOF_BY_SLOTS;
    struct crn_rule rule = crn_rule_get(frame->is_exact ? frame->pc : frame->pc - 1);
    uintptr_t cfa;
    switch (rule.kind) {
    case CRN_RULE_RSP:
        cfa = frame->sp + (uintptr_t)(intptr_t)rule.cfa_offset;
        break;
    case CRN_RULE_RBP:
        cfa = frame->bp + (uintptr_t)(intptr_t)rule.cfa_offset;
        break;
    case CRN_RULE_RBP_DEREF:
        cfa = frame->bp + (uintptr_t)(intptr_t)rule.cfa_offset;
        if (cfa < bounds.start || cfa + 8 > bounds.end || (cfa & 7) != 0)
            return false;
        cfa = word_at(cfa);
        *proof = PROOF_BY_CFA_TOO;
        break;
    case CRN_RULE_SIGNAL:
        *proof = PROOF_NONE;
        return signal_step(frame, bounds, slot, bp_slot);
    case CRN_RULE_NONE:
        return frame_pointer_step(frame, bounds, slot, bp_slot);
    case CRN_RULE_OTHER: {
        struct crn_frame next = *frame;
        if (!may_call_libunwind || !crn_libunwind_step(&next) || next.sp <= frame->sp ||
            next.sp > bounds.end)
            return false;
        *slot = next.sp - 8;
        *bp_slot = 0;
        *proof = PROOF_NONE;
        *frame = next;
        return true;
    }
    default:
        return false;
    }
    if (CRN_UNLIKELY(cfa <= frame->sp || cfa > bounds.end || cfa - 8 < bounds.start ||
                     (cfa & 7) != 0))
        return false;
    uintptr_t bp = frame->bp;
    *bp_slot = 0;
    if (rule.rbp != CRN_RBP_SAME) {
        uintptr_t from = (rule.rbp == CRN_RBP_AT_CFA ? cfa : bp) + (uintptr_t)(intptr_t)rule.rbp_offset;
        if (CRN_UNLIKELY(from < bounds.start || from + 8 > bounds.end))
            return false;
        bp = word_at(from);
        *bp_slot = from;
    }
    uintptr_t pc = word_at(cfa - 8);
    if (pc == 0)
        return false;
    *slot = cfa - 8;
    *frame = (struct crn_frame){pc, cfa, bp, false};
    return true;
}

bool crn_frame_step(struct crn_frame *frame, struct crn_stack_bounds bounds,
                    bool may_call_libunwind, uintptr_t *slot, uintptr_t *bp_slot)
{
    enum proof proof;
    return step(frame, bounds, may_call_libunwind, slot, bp_slot, &proof);
}

static bool memo_grow(struct crn_memo *memo)
{
    uint32_t capacity = memo->capacity == 0 ? 128 : memo->capacity * 2;
    size_t row = sizeof(struct crn_memo_entry);
    if (capacity > CRN_STACK_DEPTH_MAX)
        return false;
    struct crn_memo_entry *entries = crn_vm_map(2 * capacity * row);
    if (entries == NULL)
        return false;
    if (memo->entries != NULL) {
        memcpy(entries, memo->entries, memo->capacity * row);
        memcpy(entries + capacity, memo->fresh, memo->capacity * row);
        crn_vm_unmap(memo->entries, 2 * memo->capacity * row);
    }
    memo->entries = entries;
    memo->fresh = entries + capacity;
    memo->capacity = capacity;
    return true;
}

/* Does the word that said where entry i's slot lies still say so?  `inner` is the next entry. */
static bool cfa_holds(const struct crn_memo_entry *entry, const struct crn_memo_entry *inner)
{
    struct crn_rule rule = crn_rule_get(inner->pc - 1);
    return rule.kind == CRN_RULE_RBP_DEREF &&
           word_at(inner->bp + (uintptr_t)(intptr_t)rule.cfa_offset) == entry->slot + 8;
}

/* Do entries [0, count) still hold what they held?  There is one more behind them. */
static bool memo_holds(const struct crn_memo *memo, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct crn_memo_entry *entry = &memo->entries[i];
        if (word_at(entry->slot) != entry->pc)
            return false;
        if (entry->bp_below == CRN_MEMO_BP_KEPT)
            continue;
        uint32_t below = entry->bp_below & ~CRN_MEMO_CFA_LOADED;
        if (below != CRN_MEMO_BP_KEPT && word_at(entry->slot - below) != entry->bp)
            return false;
        if ((entry->bp_below & CRN_MEMO_CFA_LOADED) != 0 && !cfa_holds(entry, entry + 1))
            return false;
    }
    return true;
}

/* A saved rbp lies near its frame's return address, below it. */
static uint32_t bp_below_of(uintptr_t slot, uintptr_t bp_slot, enum proof proof)
{
    uint32_t below = bp_slot == 0 ? CRN_MEMO_BP_KEPT : (uint32_t)(slot - bp_slot);
    if (proof == PROOF_NONE || (bp_slot != 0 && slot - bp_slot >= CRN_MEMO_BP_KEPT))
        return (uint32_t)CRN_MEMO_UNPROVEN;
    return proof == PROOF_BY_CFA_TOO ? below | CRN_MEMO_CFA_LOADED : below;
}

uint32_t crn_stack_capture(struct crn_tree *tree, struct crn_memo *memo, struct crn_frame frame,
                           uintptr_t slot, struct crn_stack_bounds bounds)
{
    uint32_t kept = memo->count; /* entries [0, kept) may still be part of the stack */
    uint32_t fresh_count = 0;
    uintptr_t bp_slot = 0;
    bool is_whole = true;
    uint32_t remembered = UINT32_MAX; /* how many entries may be believed later */
    enum proof proof = frame.is_exact ? PROOF_NONE : PROOF_BY_SLOTS;

    for (;;) {
        while (kept > 0 && memo->entries[kept - 1].slot < slot)
            kept--;
        if (kept > 0) {
            struct crn_memo_entry *met = &memo->entries[kept - 1];
            if (met->slot == slot && met->pc == frame.pc && met->bp == frame.bp) {
                if (CRN_LIKELY_TRUE(memo_holds(memo, kept - 1))) {
                    /* Another callee leads here now, perhaps in another way. */
                    met->bp_below = bp_below_of(slot, bp_slot, proof);
                    if (CRN_UNLIKELY(met->bp_below == (uint32_t)CRN_MEMO_UNPROVEN))
                        remembered = kept - 1;
                    break;
                }
                kept = 0; /* something further out changed: walk it all */
            }
        }
        if (CRN_UNLIKELY(fresh_count >= memo->capacity) && !memo_grow(memo)) {
            is_whole = false;
            kept = 0;
            break;
        }
        struct crn_memo_entry *entry = &memo->fresh[fresh_count++];
        *entry = (struct crn_memo_entry){slot, frame.pc, frame.bp, 0,
                                         bp_below_of(slot, bp_slot, proof)};
        if (!step(&frame, bounds, true, &slot, &bp_slot, &proof)) {
            kept = 0;
            break;
        }
    }
    while (kept + fresh_count > memo->capacity)
        if (!memo_grow(memo)) {
            is_whole = false;
            kept = 0;
            break;
        }
    uint32_t node = kept > 0 ? memo->entries[kept - 1].node : 0;
    for (uint32_t i = fresh_count; i-- > 0;) {
        struct crn_memo_entry *entry = &memo->fresh[i];
        if (CRN_UNLIKELY(entry->bp_below == (uint32_t)CRN_MEMO_UNPROVEN) && kept < remembered)
            remembered = kept;
        entry->node = node = crn_tree_intern(tree, node, entry->pc);
        memo->entries[kept++] = *entry;
    }
    if (!is_whole)
        remembered = 0;
    memo->count = kept < remembered ? kept : remembered;
    return node;
}

uint32_t crn_stack_capture_still(struct crn_tree *tree, struct crn_frame frame,
                                 struct crn_stack_bounds bounds)
{
    enum { DEPTH_MAX = 512 };
    uintptr_t pcs[DEPTH_MAX];
    uintptr_t slot, bp_slot;
    unsigned count = 0;
    do
        pcs[count++] = frame.pc;
    while (count < DEPTH_MAX && crn_frame_step(&frame, bounds, false, &slot, &bp_slot));
    uint32_t node = 0;
    while (count > 0)
        node = crn_tree_intern(tree, node, pcs[--count]);
    return node;
}
