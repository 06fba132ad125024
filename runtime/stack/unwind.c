/*
 * Walks stacks and remembers the last walk.  See unwind.h.
 *
 * What the loop touches for a new frame: its row (16 bytes), its return address, an entry of
 * `fresh` and its node.  New frames are looked up in the tree together, not one by one: a look-up
 * for each is a branch for each that cannot be foretold where callers alternate.  A remembered
 * frame costs one comparison, four of them at a time.
 */
#include "stack/unwind.h"

#include <string.h>

/* A frame that the memo does not have. */
struct crn_fresh_frame {
    uintptr_t slot, pc, bp;
    uintptr_t bp_from, cfa_from; /* how it was reached: see struct crn_stride */
    uint32_t node;
    bool uses_bp;   /* the step to its caller does */
    bool is_proven; /* the step that reached it is */
};

/* Of struct crn_step.  SLOW: by crn_frame_stride. */
enum { STEP_SLOW, STEP_RSP, STEP_RSP_SAVED, STEP_RBP_SAVED };

enum { MEMO_FIRST = 50, WORDS_PER_FRAME = 3, FRESH_FIRST = 64 };
enum { STEP_BITS_FIRST = 9, STEP_BITS_MAX = 13 };
enum { DOUBTS_ENOUGH = 16, DOUBTS_MOST = 32 };

CRN_INLINE uintptr_t word_at(uintptr_t address)
{
    return *(const uintptr_t *)address;
}

/* Entries and words share a mapping; two words are for the walk's end. */
static size_t memo_bytes(uint32_t capacity)
{
    return capacity * sizeof(struct crn_memo_entry) +
           (WORDS_PER_FRAME * (size_t)capacity + 2) * sizeof(struct crn_memo_word);
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
        memcpy(words, memo->words, (WORDS_PER_FRAME * (size_t)memo->capacity + 2) * sizeof *words);
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

/* Of rows and leaves, which share a mapping. */
static size_t steps_bytes(const struct crn_walker *walker)
{
    return (sizeof *walker->steps + 2 * sizeof *walker->leaves) << walker->step_bits;
}

/* Steps of other return addresses, and leaves of other stacks, take one's place. */
enum { EVICTION_OF_STEP = 8, EVICTION_OF_LEAF = 1 };

static bool has_too_few(const struct crn_walker *walker)
{
    return walker->evictions >> walker->step_bits >= EVICTION_OF_STEP &&
           walker->step_bits < STEP_BITS_MAX;
}

/* The next walk then finds rules of another epoch, and makes room. */
static void eviction_note(struct crn_walker *walker, uint32_t weight)
{
    walker->evictions += weight;
    if (CRN_UNLIKELY(has_too_few(walker)))
        walker->epoch = crn_rules_epoch - 1;
}

/* Makes the walker's rows usable: empty, since they may be of code that is gone, or too few. */
static CRN_COLD bool walker_renew(struct crn_walker *walker, uint32_t epoch)
{
    struct crn_walker larger = {.step_bits = STEP_BITS_FIRST};
    if (walker->steps != NULL)
        larger.step_bits = walker->step_bits + has_too_few(walker);
    if (walker->steps == NULL || larger.step_bits != walker->step_bits)
        larger.steps = crn_vm_map(steps_bytes(&larger));
    if (larger.steps != NULL) {
        if (walker->steps != NULL)
            crn_vm_unmap(walker->steps, steps_bytes(walker));
        walker->steps = larger.steps;
        walker->step_bits = larger.step_bits;
        walker->leaves = (struct crn_leaf *)(walker->steps + ((size_t)1 << walker->step_bits));
    }
    if (walker->steps == NULL || (walker->fresh == NULL && !fresh_grow(walker)))
        return false;
    memset(walker->steps, 0, sizeof *walker->steps << walker->step_bits);
    walker->steps[0].pc = 1; /* nobody's: where `next` of a new row points; its step is SLOW */
    walker->evictions = 0;
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
    bool is_plain =
        rule.cfa_offset >= 8 && rule.cfa_offset <= FRAME_MAX && rule.cfa_offset % 8 == 0;
    bool is_saved =
        rule.rbp == CRN_RBP_AT_CFA && rule.rbp_offset <= -16 && -rule.rbp_offset <= rule.cfa_offset;
    if (!is_plain)
        return STEP_SLOW;
    if (rule.kind == CRN_RULE_RSP)
        return is_saved ? STEP_RSP_SAVED : rule.rbp == CRN_RBP_SAME ? STEP_RSP : STEP_SLOW;
    return rule.kind == CRN_RULE_RBP && is_saved ? STEP_RBP_SAVED : STEP_SLOW;
}

/* Where the row of a return address is, if there is one. */
CRN_INLINE struct crn_step *step_find(struct crn_walker *walker, uintptr_t pc)
{
    /* Fibonacci hashing: Knuth, The Art of Computer Programming, volume 3, section 6.4. */
    size_t at = (pc * 0x9e3779b97f4a7c15u) >> (64 - walker->step_bits);
    return &walker->steps[at + (at == 0)];
}

/* Makes it there. */
static CRN_NOINLINE struct crn_step *step_make(struct crn_walker *walker, struct crn_step *row,
                                               uintptr_t pc)
{
    if (row->pc != 0)
        eviction_note(walker, EVICTION_OF_STEP);
    struct crn_rule rule = crn_rule_get(pc - 1);
    *row = (struct crn_step){.pc = pc,
                             .how = pc >> 48 == 0 ? how_of(rule) : STEP_SLOW,
                             .cfa_offset = rule.cfa_offset,
                             .bp_offset = rule.rbp_offset};
    return row;
}

static CRN_NOINLINE struct crn_step *step_get(struct crn_walker *walker, uintptr_t pc)
{
    struct crn_step *row = step_find(walker, pc);
    return row->pc == pc ? row : step_make(walker, row, pc);
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

/* Whether `leaf` is the node of the new frames on top of `trunk`; then notes each one's node. */
CRN_INLINE bool leaf_holds(const struct crn_tree *tree, struct crn_walker *walker,
                           uint32_t fresh_count, uint32_t trunk, uint32_t leaf)
{
    uint32_t node = leaf;
    for (uint32_t i = 0; i < fresh_count; i++) {
        const struct crn_node *row = crn_tree_node(tree, node);
        if (CRN_UNLIKELY(row->pc != walker->fresh[i].pc)) /* the root's is 0 */
            return false;
        walker->fresh[i].node = node;
        node = row->parent;
    }
    return node == trunk;
}

/* Finds the nodes of the new frames on top of `trunk`; answers the innermost. */
CRN_INLINE uint32_t nodes_find(struct crn_tree *tree, struct crn_walker *walker,
                               uint32_t fresh_count, uint32_t trunk, uint64_t hash)
{
    hash = (hash ^ trunk) * 0x9e3779b97f4a7c15u;
    struct crn_leaf *leaf = &walker->leaves[hash >> (63 - walker->step_bits)];
    if (CRN_LIKELY_TRUE(leaf->mark == (uint32_t)(hash >> 16)) &&
        CRN_LIKELY_TRUE(leaf_holds(tree, walker, fresh_count, trunk, leaf->node)))
        return leaf->node;
    uint32_t node = trunk;
    for (uint32_t i = fresh_count; i-- > 0;)
        walker->fresh[i].node = node = crn_tree_intern(tree, node, walker->fresh[i].pc);
    if (leaf->node != 0)
        eviction_note(walker, EVICTION_OF_LEAF);
    *leaf = (struct crn_leaf){node, (uint32_t)(hash >> 16)};
    return node;
}

uint32_t crn_stack_capture(struct crn_tree *tree, struct crn_walker *walker, struct crn_memo *memo,
                           uintptr_t pc, uintptr_t sp, uintptr_t bp)
{
    uint32_t epoch = atomic_load_explicit(&crn_rules_epoch, memory_order_acquire);
    if (CRN_UNLIKELY(walker->epoch != epoch || walker->steps == NULL) &&
        !walker_renew(walker, epoch))
        return 0;
    if (CRN_UNLIKELY(memo->epoch != epoch)) {
        memo->epoch = epoch;
        memo->count = 0; /* what it walked through may have been code that is gone */
    }
    if (CRN_UNLIKELY(memo->capacity == 0) && !memo_grow(memo, MEMO_FIRST))
        return 0;

    struct crn_step *const steps = walker->steps;
    const struct crn_stack_bounds bounds = memo->bounds;
    struct crn_memo_entry *met = memo->entries + memo->count; /* those below it may be met yet */
    uint32_t fresh_count = 0;
    bool is_compared = false; /* the words of all that may be met are known to be unchanged */
    bool is_whole = true;
    uintptr_t bp_from = 0, cfa_from = 0; /* what led to (pc, sp, bp): see struct crn_stride */
    uintptr_t end_word = 0;
    bool is_proven = true;
    uintptr_t slot = sp - 8;
    struct crn_step *row = NULL;
    uint64_t hash = 0; /* of the new frames */

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
        fresh->bp_from = bp_from;
        fresh->cfa_from = cfa_from;
        hash = (hash << 7 | hash >> 57) ^ pc;
        fresh->uses_bp = false;
        fresh->is_proven = is_proven;
        uintptr_t cfa;
        switch (row->how) {
        case STEP_RSP:
            cfa = sp + (uintptr_t)(intptr_t)row->cfa_offset;
            bp_from = 0;
            break;
        case STEP_RSP_SAVED:
            cfa = sp + (uintptr_t)(intptr_t)row->cfa_offset;
            bp_from = cfa + (uintptr_t)(intptr_t)row->bp_offset;
            break;
        case STEP_RBP_SAVED:
            cfa = bp + (uintptr_t)(intptr_t)row->cfa_offset;
            bp_from = cfa + (uintptr_t)(intptr_t)row->bp_offset;
            fresh->uses_bp = true;
            if (CRN_UNLIKELY(cfa <= sp || (cfa & 7) != 0 || bp_from < bounds.start))
                goto ended;
            break;
        default: {
            struct crn_frame frame = {pc, sp, bp, row == steps};
            struct crn_stride stride;
            bool has_caller = crn_frame_stride(&frame, bounds, true, &stride);
            fresh->uses_bp = stride.uses_bp;
            bp_from = stride.bp_from;
            cfa_from = stride.cfa_from;
            end_word = stride.end_word;
            is_proven = stride.is_proven;
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
        cfa_from = 0;
        is_proven = true;
        slot = cfa - 8;
        pc = word_at(slot);
        sp = cfa;
        if (bp_from != 0)
            bp = word_at(bp_from);
        struct crn_step *foreseen = &steps[row->next];
        if (CRN_UNLIKELY(row->doubts >= DOUBTS_ENOUGH)) {
            if (pc == 0)
                goto ended_by_zero;
            struct crn_step *found = step_find(walker, pc);
            if (CRN_UNLIKELY(found->pc != pc))
                found = step_make(walker, found, pc);
            unsigned doubts = row->doubts + (found != foreseen ? 2u : -1u);
            row->doubts = doubts < DOUBTS_MOST ? doubts : DOUBTS_MOST;
            row->next = (uint16_t)(found - steps);
            row = found;
            continue;
        }
        if (CRN_UNLIKELY(foreseen->pc != pc)) {
            if (pc == 0)
                goto ended_by_zero;
            foreseen = step_get(walker, pc);
            row->next = (uint16_t)(foreseen - steps);
            row->doubts += 2;
        } else if (CRN_UNLIKELY(row->doubts != 0)) {
            row->doubts--;
        }
        row = foreseen;
        continue;
    ended_by_zero:
        end_word = slot;
        goto ended_by_word;
    ended:
        end_word = 0;
    ended_by_word:
        met = memo->entries;
        break;
    }

    uint32_t kept = (uint32_t)(met - memo->entries);
    if (CRN_UNLIKELY(kept + fresh_count > memo->capacity) && !memo_grow(memo, kept + fresh_count)) {
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
        count = words_append(words, last->words, slot, pc, needs_bp ? bp_from : 0, bp, cfa_from);
        if (CRN_UNLIKELY(!is_proven))
            remembered = kept - 1;
    } else if (end_word != 0 && is_whole) {
        words[count++] = (struct crn_memo_word){end_word, word_at(end_word)};
        if (CRN_UNLIKELY(cfa_from != 0))
            words[count++] = (struct crn_memo_word){cfa_from, word_at(cfa_from)};
    } else if (CRN_UNLIKELY(!is_proven)) {
        remembered = 0; /* libunwind saw an end: nobody knows by which words */
    }
    node = nodes_find(tree, walker, fresh_count, node, hash);
    uintptr_t outer_bp_from = kept > 0 ? bp_from : 1; /* 1: there is nobody further out */
    for (const struct crn_fresh_frame *fresh = walker->fresh + fresh_count;
         fresh-- > walker->fresh;) {
        needs_bp = fresh->uses_bp || (outer_bp_from == 0 && needs_bp);
        if (CRN_UNLIKELY(!fresh->is_proven) && entry - memo->entries < remembered)
            remembered = (uint32_t)(entry - memo->entries);
        if (CRN_LIKELY_TRUE(is_whole)) {
            entry->slot = fresh->slot;
            entry->pc = fresh->pc;
            entry->bp = fresh->bp;
            entry->node = fresh->node;
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
