/*
 * Code without unwind information: whether it keeps a frame pointer is read from its bytes.
 */
#include "make_heap.h"
#include "stack/rules.h"

#include <string.h>
#include <sys/mman.h>

/* Functions that no .cfi directive describes; each has a label after its call. */
#define BARE(name, before, after)                                               \
    __asm__(".text\n\t.p2align 4\n" name ":\n\t" before "\n\tcall *%rdi\n" name \
            "_called:\n\t" after "\n\tret")

BARE("keeps", "push %rbp\n\tmov %rsp, %rbp", "pop %rbp");
BARE("adds", "sub $24, %rsp", "add $24, %rsp");
BARE("adds_much", "sub $400, %rsp", "add $400, %rsp");
BARE("keeps_too", "push %rbp\n\tmov %rsp, %rbp\n\tpush %rbx\n\tpush %rbx", "pop %rbx\n\tleave");
BARE("pushes", "push %rbx", "pop %rbx");
BARE("is_last", "push %r12", "pop %r12");
/* It returns in the middle, too. */
BARE("returns_early",
     "push %rbp\n\tmov %rsp, %rbp\n\ttest %rsi, %rsi\n\tjne 1f\n\tpop %rbp\n\tret\n1:", "pop %rbp");

extern const char keeps_called[], adds_called[], adds_much_called[], keeps_too_called[],
    pushes_called[], is_last_called[], returns_early_called[];
extern const char keeps[];

Test(prologue, code_that_keeps_a_frame_pointer_is_known)
{
    cr_assert(crn_code_keeps_frame_pointer((uintptr_t)keeps_called));
    cr_assert(crn_code_keeps_frame_pointer((uintptr_t)keeps_too_called));
    cr_assert(crn_code_keeps_frame_pointer((uintptr_t)returns_early_called));
}

Test(prologue, the_function_before_does_not_count)
{
    cr_assert(!crn_code_keeps_frame_pointer((uintptr_t)adds_called));
    cr_assert(!crn_code_keeps_frame_pointer((uintptr_t)adds_much_called));
    cr_assert(!crn_code_keeps_frame_pointer((uintptr_t)pushes_called));
    cr_assert(!crn_code_keeps_frame_pointer((uintptr_t)is_last_called));
}

Test(prologue, what_is_not_mapped_keeps_nothing)
{
    cr_assert(!crn_code_keeps_frame_pointer(1));
    cr_assert(!crn_code_keeps_frame_pointer(16));
    cr_assert(!crn_code_keeps_frame_pointer(UINTPTR_MAX));
}

Test(prologue, a_prologue_is_found_across_pages_and_not_beyond_a_gap)
{
    size_t page = 4096;
    char *memory = mmap(NULL, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(memory != MAP_FAILED);
    memset(memory, 0x40, 3 * page);
    for (size_t at = page - 6; at <= page + 2; at++) {
        memcpy(memory + at, keeps, 4);
        cr_assert(crn_code_keeps_frame_pointer((uintptr_t)memory + 2 * page + 100));
        memset(memory + at, 0x40, 4);
    }
    memcpy(memory + 100, keeps, 4);
    cr_assert(crn_code_keeps_frame_pointer((uintptr_t)memory + 2 * page + 100));
    cr_assert(mprotect(memory + page, page, PROT_NONE) == 0);
    cr_assert(!crn_code_keeps_frame_pointer((uintptr_t)memory + 2 * page + 100));
}

Test(prologue, a_rule_says_so)
{
    cr_assert_eq(crn_rule_compile((uintptr_t)keeps_called - 1).kind, CRN_RULE_FRAME);
    cr_assert_eq(crn_rule_compile((uintptr_t)adds_called - 1).kind, CRN_RULE_NONE);
}
