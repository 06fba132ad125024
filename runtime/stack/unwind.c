/*
 * Walks stacks and remembers the last walk.  See unwind.h.
 *
 * What the loop touches for a new frame: its row (32 bytes), its return address, and an entry of
 * `fresh`.  The next row is guessed from the last time, so nothing waits for the stack's memory but
 * the comparison that confirms the guess; a node is confirmed in the same way.  A remembered frame
 * costs one comparison, four of them at a time.
 */
#include "stack/unwind.h"

#include <string.h>

/* A frame that the memo does not have. */
struct crn_fresh_frame {
    uintptr_t slot, pc, bp;
    uintptr_t bp_from, cfa_from; /* how it was reached: see struct crn_stride */
    uint32_t row;                /* of its step */
    bool uses_bp;                /* the step to its caller does */
    bool is_proven;              /* the step that reached it is */
};

/* Of struct crn_step.  SLOW: by crn_frame_stride. */
enum { STEP_SLOW, STEP_RSP, STEP_RSP_SAVED, STEP_RBP_SAVED };

enum { MEMO_FIRST = 50, WORDS_PER_FRAME = 3, FRESH_FIRST = 64 };
enum { STEP_BITS_FIRST = 9, STEP_BITS_MAX = 13 };

CRN_INLINE uintptr_t word_at(uintptr_t address)
{
    return *(const uintptr_t *)address;
}

/* Entries and words share a mapping; one word is for the walk's end. */
static size_t memo_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct crn_memo_entry) +
           (WORDS_PER_FRAME * (size_t)capacity + 1) * sizeof(struct crn_memo_word);
}

static CRN_COLD bool memo_grow(struct crn_memo *memo, uint32_t least)
{
    uint32_t capacity = memo->capacity == 0 ? MEMO_FIRST : memo->capacity * 2;
    while (capacity < least)
        capacity *= 2;
    struct crn_memo_entry *entries = crn_vm_map(memo_bytes(capacity));
    if (entries == NULL)
        return false;
    struct crn_memo_word *words = (struct crn_memo_word *)(entries + capacity);
    if (memo->entries != NULL) {
        memcpy(entries, memo->entries, memo->capacity * sizeof *entries);
        memcpy(words, memo->words, (WORDS_PER_FRAME * (size_t)memo->capacity + 1) * sizeof *words);
        crn_vm_unmap(memo->entries, memo_bytes(memo->capacity));
    }
    memo->entries = entries;
    memo->words = words;
    memo->capacity = capacity;
    return true;
}

static CRN_COLD bool fresh_grow(struct crn_walker *walker)
{
    uint32_t capacity = walker->fresh_capacity == 0 ? FRESH_FIRST : walker->fresh_capacity * 2;
    size_t row = sizeof *walker->fresh;
    if (capacity > CRN_STACK_DEPTH_MAX)
        return false;
    struct crn_fresh_frame *fresh = crn_vm_map(capacity * row);
    if (fresh == NULL)
        return false;
    if (walker->fresh != NULL) {
        memcpy(fresh, walker->fresh, walker->fresh_capacity * row);
        crn_vm_unmap(walker->fresh, walker->fresh_capacity * row);
    }
    walker->fresh = fresh;
    walker->fresh_capacity = capacity;
    return true;
}

static size_t steps_bytes(const struct crn_walker *walker)
{
    return sizeof *walker->steps << walker->step_bits;
}

/* Makes the walker's rows usable: empty, since they may be of code that is gone, or too few. */
static CRN_COLD bool walker_renew(struct crn_walker *walker, uint32_t epoch)
{
    if (walker->steps != NULL && walker->evictions >> walker->step_bits == 0) {
        memset(walker->steps, 0, steps_bytes(walker));
    } else {
        struct crn_walker larger = {.step_bits = STEP_BITS_FIRST};
        if (walker->steps != NULL)
            larger.step_bits = walker->step_bits + 1;
        larger.steps = crn_vm_map(steps_bytes(&larger));
        if (larger.steps == NULL)
            return false;
        if (walker->steps != NULL)
            crn_vm_unmap(walker->steps, steps_bytes(walker));
        walker->steps = larger.steps;
        walker->step_bits = larger.step_bits;
    }
    walker->evictions = 0;
    if (walker->fresh == NULL && !fresh_grow(walker))
        return false;
    walker->steps[0].pc = 1; /* nobody's: where `next` of a new row points; its step is SLOW */
    walker->epoch = epoch;
    return true;
}

void crn_memo_reset(struct crn_memo *memo, struct crn_stack_bounds bounds)
{
    memo->bounds = bounds;
    memo->count = 0;
}

void crn_memo_fini(struct crn_memo *memo)
{
    if (memo->entries != NULL)
        crn_vm_unmap(memo->entries, memo_bytes(memo->capacity));
    *memo = (struct crn_memo){.bounds = memo->bounds};
}

void crn_walker_fini(struct crn_walker *walker)
{
    if (walker->steps != NULL)
        crn_vm_unmap(walker->steps, steps_bytes(walker));
    if (walker->fresh != NULL)
        crn_vm_unmap(walker->fresh, walker->fresh_capacity * sizeof *walker->fresh);
    *walker = (struct crn_walker){.steps = NULL};
}

/* The cheap way to do a step, when the rule alone shows that it stays on the stack. */
static uint8_t how_of(struct crn_rule rule)
{
    enum { FRAME_MAX = 1 << 20 };
    bool is_plain = rule.cfa_offset >= 8 && rule.cfa_offset <= FRAME_MAX && rule.cfa_offset % 8 == 0;
    bool is_saved = rule.rbp == CRN_RBP_AT_CFA && rule.rbp_offset <= -16 &&
                    -rule.rbp_offset <= rule.cfa_offset;
    if (!is_plain)
        return STEP_SLOW;
    if (rule.kind == CRN_RULE_RSP)
        return is_saved ? STEP_RSP_SAVED : rule.rbp == CRN_RBP_SAME ? STEP_RSP : STEP_SLOW;
    return rule.kind == CRN_RULE_RBP && is_saved ? STEP_RBP_SAVED : STEP_SLOW;
}

/* The row of a return address, made now if it is new. */
static CRN_NOINLINE struct crn_step *step_get(struct crn_walker *walker, uintptr_t pc)
{
    /* Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, section 6.4. */
    size_t at = (pc * 0x9e3779b97f4a7c15u) >> (64 - walker->step_bits);
    struct crn_step *row = &walker->steps[at + (at == 0)];
    if (row->pc != pc) {
        /* Too often: the next walk finds rules of another epoch, and makes room. */
        if (row->pc != 0 && ++walker->evictions >> walker->step_bits != 0 &&
            walker->step_bits < STEP_BITS_MAX)
            walker->epoch--;
        struct crn_rule rule = crn_rule_get(pc - 1);
        *row = (struct crn_step){.pc = pc,
                                 .cfa_offset = rule.cfa_offset,
                                 .bp_offset = rule.rbp_offset,
                                 .how = how_of(rule)};
    }
    return row;
}

/* The first of words[0 .. count) that is not in its place; `count` when all are. */
CRN_INLINE uint32_t words_compare(const struct crn_memo_word *words, uint32_t count)
{
    uint32_t i = 0;
#define CHANGED(n) (word_at(words[i + (n)].address) ^ words[i + (n)].value)
    for (; i + 4 <= count; i += 4)
        if (CRN_UNLIKELY((CHANGED(0) | CHANGED(1) | CHANGED(2) | CHANGED(3)) != 0))
            break;
    while (i < count && CHANGED(0) == 0)
        i++;
#undef CHANGED
    return i;
}

/* Appends what led to a frame; answers how many words there are then. */
CRN_INLINE uint32_t words_append(struct crn_memo_word *words, uint32_t count, uintptr_t slot,
                                 uintptr_t pc, uintptr_t bp_from, uintptr_t bp, uintptr_t cfa_from)
{
    words[count++] = (struct crn_memo_word){slot, pc};
    if (bp_from != 0)
        words[count++] = (struct crn_memo_word){bp_from, bp};
    if (CRN_UNLIKELY(cfa_from != 0))
        words[count++] = (struct crn_memo_word){cfa_from, slot + 8};
    return count;
}

CRN_INLINE uint32_t node_get(struct crn_tree *tree, struct crn_step *row, uint32_t parent,
                             uintptr_t pc)
{
    if (CRN_LIKELY_TRUE(row->pc == pc && row->parent == parent && row->node != 0))
        return row->node;
    uint32_t node = crn_tree_intern(tree, parent, pc);
    if (row->pc == pc) {
        row->parent = parent;
        row->node = node;
    }
    return node;
}

uint32_t crn_stack_capture(struct crn_tree *tree, struct crn_walker *walker, struct crn_memo *memo,
                           uintptr_t pc, uintptr_t sp, uintptr_t bp)
{
    uint32_t epoch = __atomic_load_n(&crn_rules_epoch, __ATOMIC_ACQUIRE);
    if (CRN_UNLIKELY(walker->epoch != epoch || walker->steps == NULL) &&
        !walker_renew(walker, epoch))
        return 0;
    if (CRN_UNLIKELY(memo->capacity == 0) && !memo_grow(memo, MEMO_FIRST))
        return 0;

    struct crn_step *const steps = walker->steps;
    const struct crn_stack_bounds bounds = memo->bounds;
    struct crn_memo_entry *met = memo->entries + memo->count; /* those below it may be met yet */
    uint32_t fresh_count = 0;
    bool is_compared = false; /* the words of all that may be met are known to be unchanged */
    bool is_whole = true;
    struct crn_stride stride = {.is_proven = true}; /* what led to (pc, sp, bp) */
    uintptr_t slot = sp - 8;
    struct crn_step *row = NULL;

    for (;;) {
        while (met > memo->entries && met[-1].slot < slot)
            met--;
        if (met > memo->entries && met[-1].slot == slot && met[-1].pc == pc &&
            (met[-1].bp == bp || !met[-1].needs_bp)) {
            uint32_t count = met[-1].words;
            uint32_t same = is_compared ? count : words_compare(memo->words, count);
            if (CRN_LIKELY_TRUE(same == count))
                break;
            /* Something further out changed: who stands on it can no longer be met. */
            while (met > memo->entries && met[-1].words > same)
                met--;
            is_compared = true;
        }
        if (CRN_UNLIKELY(fresh_count >= walker->fresh_capacity) && !fresh_grow(walker)) {
            is_whole = false;
            met = memo->entries;
            break;
        }
        if (row == NULL)
            row = step_get(walker, pc);
        struct crn_fresh_frame *fresh = &walker->fresh[fresh_count++];
        fresh->slot = slot;
        fresh->pc = pc;
        fresh->bp = bp;
        fresh->bp_from = stride.bp_from;
        fresh->cfa_from = stride.cfa_from;
        fresh->row = (uint32_t)(row - steps);
        fresh->uses_bp = false;
        fresh->is_proven = stride.is_proven;
        uintptr_t cfa;
        switch (row->how) {
        case STEP_RSP:
            cfa = sp + (uintptr_t)(intptr_t)row->cfa_offset;
            stride.bp_from = 0;
            break;
        case STEP_RSP_SAVED:
            cfa = sp + (uintptr_t)(intptr_t)row->cfa_offset;
            stride.bp_from = cfa + (uintptr_t)(intptr_t)row->bp_offset;
            break;
        case STEP_RBP_SAVED:
            cfa = bp + (uintptr_t)(intptr_t)row->cfa_offset;
            stride.bp_from = cfa + (uintptr_t)(intptr_t)row->bp_offset;
            fresh->uses_bp = true;
            if (CRN_UNLIKELY(cfa <= sp || (cfa & 7) != 0 || stride.bp_from < bounds.start))
                goto ended;
            break;
        default: {
            struct crn_frame frame = {pc, sp, bp, row == steps};
            bool has_caller = crn_frame_stride(&frame, bounds, true, &stride);
            fresh->uses_bp = stride.uses_bp;
            if (!has_caller)
                goto ended_by_word;
            /* What a signal interrupted has no return address to be met by, and no row. */
            slot = frame.is_exact ? stride.slot | 1 : stride.slot;
            row = frame.is_exact ? steps : NULL;
            pc = frame.pc;
            sp = frame.sp;
            bp = frame.bp;
            continue;
        }
        }
        if (CRN_UNLIKELY(cfa > bounds.end))
            goto ended;
        stride.cfa_from = 0;
        stride.is_proven = true;
        slot = cfa - 8;
        pc = word_at(slot);
        sp = cfa;
        if (stride.bp_from != 0)
            bp = word_at(stride.bp_from);
        struct crn_step *foreseen = &steps[row->next];
        if (CRN_UNLIKELY(foreseen->pc != pc)) {
            if (pc == 0) {
                stride.end_word = slot;
                goto ended_by_word;
            }
            foreseen = step_get(walker, pc);
            row->next = (uint32_t)(foreseen - steps);
        }
        row = foreseen;
        continue;
    ended:
        stride.end_word = 0;
    ended_by_word:
        met = memo->entries;
        break;
    }

    uint32_t kept = (uint32_t)(met - memo->entries);
    if (CRN_UNLIKELY(kept + fresh_count > memo->capacity) &&
        !memo_grow(memo, kept + fresh_count)) {
        is_whole = false;
        kept = 0;
    }
    struct crn_memo_word *const words = memo->words;
    struct crn_memo_entry *entry = memo->entries + kept;
    uint32_t remembered = UINT32_MAX; /* how many entries may be believed later */
    uint32_t count = 0;               /* of words */
    uint32_t node = 0;
    bool needs_bp = false;
    if (kept > 0) {
        /* Another callee may have led here. */
        struct crn_memo_entry *last = entry - 1;
        node = last->node;
        if (fresh_count == 0) {
            memo->count = kept;
            return node;
        }
        needs_bp = last->needs_bp;
        last->bp = bp;
        count = words_append(words, last->words, slot, pc, needs_bp ? stride.bp_from : 0, bp,
                             stride.cfa_from);
        if (CRN_UNLIKELY(!stride.is_proven))
            remembered = kept - 1;
    } else if (stride.end_word != 0 && is_whole) {
        words[count++] = (struct crn_memo_word){stride.end_word, word_at(stride.end_word)};
    }
    uintptr_t outer_bp_from = kept > 0 ? stride.bp_from : 1; /* 1: there is nobody further out */
    for (const struct crn_fresh_frame *fresh = walker->fresh + fresh_count; fresh-- > walker->fresh;) {
        needs_bp = fresh->uses_bp || (outer_bp_from == 0 && needs_bp);
        node = node_get(tree, &steps[fresh->row], node, fresh->pc);
        if (CRN_UNLIKELY(!fresh->is_proven) && entry - memo->entries < remembered)
            remembered = (uint32_t)(entry - memo->entries);
        if (CRN_LIKELY_TRUE(is_whole)) {
            entry->slot = fresh->slot;
            entry->pc = fresh->pc;
            entry->bp = fresh->bp;
            entry->node = node;
            entry->words = count;
            entry->needs_bp = needs_bp;
            entry++;
            count = words_append(words, count, fresh->slot, fresh->pc,
                                 needs_bp ? fresh->bp_from : 0, fresh->bp, fresh->cfa_from);
        }
        outer_bp_from = fresh->bp_from;
    }
    uint32_t total = is_whole ? (uint32_t)(entry - memo->entries) : 0;
    memo->count = total < remembered ? total : remembered;
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
