/*
 * Stacks that no program made: whatever the words are, a walk with a memo finds what one without
 * finds.
 *
 * The stack is an array.  Its words are return addresses of real code, a few for each kind of rule,
 * and addresses of other words; between captures a few of them change, anywhere.  libunwind is made
 * up, too, and at times finds nothing, as it does where it has no room.
 */
#include "make_heap.h"
#include "stack/unwind.h"

#include <alloca.h>
#include <link.h>
#include <ucontext.h>

enum { WORDS = 512, PER_KIND = 6, KINDS = CRN_RULE_OTHER + 2, FRAME_MAX = 160 };
enum { KIND_RSP_SAVED = CRN_RULE_OTHER + 1 };

static uintptr_t stack[WORDS];
static const struct crn_stack_bounds bounds = {(uintptr_t)stack, (uintptr_t)(stack + WORDS)};
static uintptr_t codes[KINDS][PER_KIND]; /* return addresses by kind of rule */
static unsigned code_counts[KINDS];
static struct maker_random random_;

static unsigned below(unsigned limit)
{
    return (unsigned)maker_below(&random_, limit);
}

/* With alloca beside aligned locals: the CFA lies in memory. */
CRN_NOINLINE __attribute__((force_align_arg_pointer)) static void realigned(unsigned bytes)
{
    _Alignas(64) volatile char memory[32];
    volatile char *more = alloca(bytes);
    memory[0] = more[0] = 1;
    __asm__ volatile("" ::"r"(memory), "r"(more) : "memory");
}

static void code_note(uintptr_t pc)
{
    struct crn_rule rule = crn_rule_compile(pc - 1);
    bool is_saved = rule.kind == CRN_RULE_RSP && rule.rbp != CRN_RBP_SAME;
    unsigned kind = is_saved ? (unsigned)KIND_RSP_SAVED : rule.kind;
    if (code_counts[kind] < PER_KIND && rule.cfa_offset <= FRAME_MAX)
        codes[kind][code_counts[kind]++] = pc;
}

static int module_look_through(struct dl_phdr_info *info, size_t info_bytes, void *unused)
{
    enum { LOOKS = 100000 };
    (void)info_bytes;
    (void)unused;
    for (unsigned i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        if (part->p_type == PT_LOAD && (part->p_flags & PF_X) != 0)
            for (unsigned look = 0; look < LOOKS; look++)
                code_note(info->dlpi_addr + part->p_vaddr + 1 + below((unsigned)part->p_memsz - 1));
    }
    return 0;
}

static uintptr_t made_pc, made_sp, made_bp;
static bool finds_nothing;

static int made_init(void *cursor, void *context, int flag)
{
    const greg_t *registers = ((const ucontext_t *)context)->uc_mcontext.gregs;
    (void)cursor;
    (void)flag;
    made_sp = (uintptr_t)registers[REG_RSP];
    made_bp = (uintptr_t)registers[REG_RBP];
    return 0;
}

static int made_step(void *cursor)
{
    (void)cursor;
    uintptr_t word = (made_sp - bounds.start) / 8;
    if (finds_nothing || word + 8 >= WORDS)
        return 0;
    word += 2 * (1 + stack[word] / 8 % 3);
    made_sp = (uintptr_t)&stack[word];
    made_pc = stack[word - 1];
    return 1;
}

static int made_get(void *cursor, int number, unsigned long *value)
{
    (void)cursor;
    *value = number == 16 ? made_pc : number == 7 ? made_sp : made_bp;
    return 0;
}

static uintptr_t code_pick(void)
{
    /* Few that end a walk, and many that depend on much. */
    static const uint8_t often[] = {
        CRN_RULE_RSP,       CRN_RULE_RSP,       CRN_RULE_RSP,       CRN_RULE_RSP,
        KIND_RSP_SAVED,     KIND_RSP_SAVED,     KIND_RSP_SAVED,     CRN_RULE_RBP,
        CRN_RULE_RBP,       CRN_RULE_RBP,       CRN_RULE_RBP_DEREF, CRN_RULE_RBP_DEREF,
        CRN_RULE_RBP_DEREF, CRN_RULE_FRAME,     CRN_RULE_SIGNAL,    CRN_RULE_OTHER,
        CRN_RULE_OTHER,     CRN_RULE_ELSEWHERE, CRN_RULE_NONE,      CRN_RULE_END};
    unsigned kind = often[below(CRN_COUNT_OF(often))];
    return code_counts[kind] == 0 ? 0 : codes[kind][below(code_counts[kind])];
}

/* The address of a word not far above word `at`, where an rbp would point. */
static uintptr_t bp_pick(unsigned at)
{
    unsigned word = (at | 1) + 2 * below(12);
    return (uintptr_t)&stack[word < WORDS ? word : WORDS - 1];
}

static void word_make(unsigned at)
{
    bool is_code = below(10) == 0 ? at % 2 != 0 : at % 2 == 0;
    unsigned odd = below(50);
    stack[at] = odd == 0 ? 0 : odd == 1 ? below(1u << 31) : is_code ? code_pick() : bp_pick(at);
}

/* Changes what ends the walk, so that it goes on. */
static void walk_mend(struct crn_frame frame)
{
    uintptr_t slot, bp_slot, bp_last = 0;
    for (unsigned tries = 0; tries < 40; tries++) {
        struct crn_rule rule = crn_rule_get(frame.pc - 1);
        if (crn_frame_step(&frame, bounds, true, &slot, &bp_slot)) {
            bp_last = bp_slot != 0 ? bp_slot : bp_last;
            if (crn_rule_get(frame.pc - 1).kind <= CRN_RULE_END && below(8) != 0)
                frame.pc = *(uintptr_t *)slot = code_pick();
            continue;
        }
        uintptr_t at = (frame.sp - bounds.start) / 8;
        if (rule.kind == CRN_RULE_RSP && at + FRAME_MAX / 8 < WORDS) {
            *(uintptr_t *)(frame.sp + (uintptr_t)rule.cfa_offset - 8) = code_pick();
        } else if (rule.kind > CRN_RULE_RSP && bp_last != 0 && at + 64 < WORDS) {
            frame.bp = *(uintptr_t *)bp_last = bp_pick((unsigned)at);
            stack[(frame.bp - bounds.start) / 8 + 1] = code_pick();
            if (rule.kind == CRN_RULE_RBP_DEREF && frame.bp + (uintptr_t)rule.cfa_offset > frame.sp)
                *(uintptr_t *)(frame.bp + (uintptr_t)rule.cfa_offset) = bp_pick((unsigned)at) + 16;
        } else {
            break;
        }
    }
}

static uint32_t capture(struct crn_tree *tree, struct crn_walker *walker, struct crn_memo *memo,
                        struct crn_frame frame)
{
    return crn_stack_capture(tree, walker, memo, frame.pc, frame.sp, frame.bp);
}

Test(unwind_made_up, whatever_the_words_are_the_memo_has_them_right)
{
    enum { ROUNDS = 400000 };
    static struct crn_tree tree;
    struct crn_walker walker = {.steps = NULL};
    struct crn_memo memo = {.bounds = bounds}, empty = {.bounds = bounds};
    struct crn_libunwind made = {made_init, made_step, made_get};
    uint64_t depths = 0;
    cr_assert(crn_tree_init(&tree, (size_t)1 << 32) == CRN_OK);
    crn_libunwind_use(&made);
    random_ = maker_random_from(1);
    realigned(16);
    for (uintptr_t at = 1; at < 100; at++)
        code_note((uintptr_t)realigned + at);
    dl_iterate_phdr(module_look_through, NULL);
    cr_assert(code_counts[CRN_RULE_RBP_DEREF] > 0 && code_counts[CRN_RULE_SIGNAL] > 0 &&
              code_counts[CRN_RULE_RBP] > 0 && code_counts[CRN_RULE_OTHER] > 0);
    for (unsigned at = 0; at < WORDS; at++)
        word_make(at);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned changes = below(4); changes > 0; changes--)
            word_make(below(below(2) == 0 ? 100 : WORDS));
        for (unsigned at = 0; at < WORDS && round % 4096 == 0; at++)
            word_make(at);
        finds_nothing = below(3) == 0;
        unsigned at = 1 + 2 * below(6);
        struct crn_frame frame = {code_pick(), (uintptr_t)&stack[at], bp_pick(at), false};
        if (frame.pc == 0)
            continue;
        if (below(2) == 0)
            walk_mend(frame);
        uint32_t node = capture(&tree, &walker, &memo, frame);
        crn_memo_reset(&empty, bounds);
        uint32_t fresh = capture(&tree, &walker, &empty, frame);
        cr_assert(node == fresh, "round %u: %u frames, not %u", round,
                  crn_tree_node(&tree, node)->depth, crn_tree_node(&tree, fresh)->depth);
        depths += crn_tree_node(&tree, fresh)->depth;
    }
    cr_assert(depths > ROUNDS * 3ull);
}
