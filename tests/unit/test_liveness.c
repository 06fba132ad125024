/*
 * Whether registers and slots are read again: functions in assembly, each a trap, with its live
 * twin.
 *
 * The functions are never executed.  Each has a label where it is taken to be suspended, right
 * behind a call.
 */
#include "base/maps.h"
#include "liveness/liveness.h"

#include <criterion/criterion.h>
#include <dlfcn.h>

enum { RANGES_MAX = 512 };

static struct crn_range ranges[RANGES_MAX];
static struct crn_code code = {ranges, 0};
static struct crn_liveness_engine *engine;

static bool range_visit(const struct crn_map_entry *entry, void *user)
{
    (void)user;
    if ((entry->flags & CRN_MAP_EXECUTE) != 0 && entry->path[0] != '[')
        ranges[code.count++] = (struct crn_range){entry->start, entry->end};
    return code.count < RANGES_MAX;
}

static void engine_make(void)
{
    struct crn_decoder decoder;
    void *zydis = dlopen("libZydis.so.4.0", RTLD_NOW | RTLD_LOCAL);
    cr_assert_not_null(zydis, "%s", dlerror());
    *(void **)&decoder.init = dlsym(zydis, "ZydisDecoderInit");
    *(void **)&decoder.decode = dlsym(zydis, "ZydisDecoderDecodeFull");
    cr_assert(crn_decoder_use(&decoder));
    code.count = 0;
    cr_assert(crn_maps_for_each(range_visit, NULL));
    engine = crn_liveness_create(&code);
    cr_assert_not_null(engine);
}

static void engine_end(void)
{
    crn_liveness_destroy(engine);
}

TestSuite(liveness, .init = engine_make, .fini = engine_end);

/* A function, with the label at_NAME where it is suspended. */
#define FUNCTION(name, body)                                              \
    extern const char at_##name[];                                        \
    __asm__(".text\n.p2align 4\n.type fn_" #name ", @function\nfn_" #name \
            ":\n.cfi_startproc\n" body "\n.cfi_endproc\n.size fn_" #name ", .-fn_" #name "\n")
#define HERE(name) "call liveness_elsewhere\nat_" #name ":\n"

__attribute__((used)) void liveness_elsewhere(void);
void liveness_elsewhere(void)
{
    __asm__ volatile("");
}

static struct crn_liveness_answer ask_register(const char *at, unsigned reg)
{
    return crn_liveness_ask(engine, &(struct crn_liveness_question){.pc = (uintptr_t)at,
                                                                    .is_return_address = true,
                                                                    .place = CRN_PLACE_REGISTER,
                                                                    .reg = reg});
}

static struct crn_liveness_answer ask_slot(const char *at, int64_t offset)
{
    return crn_liveness_ask(engine, &(struct crn_liveness_question){.pc = (uintptr_t)at,
                                                                    .is_return_address = true,
                                                                    .place = CRN_PLACE_SLOT,
                                                                    .offset = offset});
}

#define assert_answer(question, its_liveness, its_reason)            \
    do {                                                             \
        struct crn_liveness_answer answer_ = question;               \
        cr_assert(answer_.liveness == CRN_LIVENESS_##its_liveness && \
                      answer_.reason == CRN_REASON_##its_reason,     \
                  "%s: %d, %s", #question, answer_.liveness,         \
                  crn_liveness_reason_name(answer_.reason));         \
    } while (0)
#define assert_certain(question) cr_assert(question.is_certain, "%s", #question)
#define assert_likely(question) cr_assert(!question.is_certain, "%s", #question)

/* A frame of 24 bytes: slots at CFA - 32, - 24, - 16. */
#define FRAME "sub $24, %rsp\n.cfi_adjust_cfa_offset 24\n"
#define UNFRAME "add $24, %rsp\n.cfi_adjust_cfa_offset -24\nret\n"
#define PUSH_RBX "push %rbx\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbx, -16\n"
#define POP_RBX "pop %rbx\n.cfi_adjust_cfa_offset -8\nret\n"

FUNCTION(written_slot, FRAME HERE(written_slot) "mov %rax, 8(%rsp)\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(read_slot, FRAME HERE(read_slot) "mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(left_slot, FRAME HERE(left_slot) UNFRAME);

Test(liveness, a_slot_that_is_written_first_is_dead_and_one_that_is_read_first_is_not)
{
    assert_answer(ask_slot(at_written_slot, -24), DEAD, WRITTEN);
    assert_certain(ask_slot(at_written_slot, -24));
    assert_answer(ask_slot(at_read_slot, -24), READ, READ);
    assert_answer(ask_slot(at_read_slot, -16), DEAD, LEFT);
    assert_answer(ask_slot(at_left_slot, -24), DEAD, LEFT);
}

FUNCTION(half_written, FRAME HERE(half_written) "movl $0, 8(%rsp)\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(half_read, FRAME HERE(half_read) "movl $0, 8(%rsp)\n mov 12(%rsp), %edi\n" UNFRAME);
FUNCTION(
    both_halves,
    FRAME HERE(both_halves) "movl $0, 8(%rsp)\n movl $0, 12(%rsp)\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(other_half, FRAME HERE(other_half) "movl $0, 8(%rsp)\n mov 8(%rsp), %edi\n" UNFRAME);
FUNCTION(sse_written,
         FRAME HERE(sse_written) "movups %xmm0, 4(%rsp)\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(sse_read, FRAME HERE(sse_read) "movups 4(%rsp), %xmm0\n" UNFRAME);
FUNCTION(read_modify, FRAME HERE(read_modify) "addq $1, 8(%rsp)\n" UNFRAME);

Test(liveness, a_write_of_a_part_leaves_the_rest)
{
    assert_answer(ask_slot(at_half_written, -24), READ, READ);
    assert_answer(ask_slot(at_half_read, -24), READ, READ);
    assert_answer(ask_slot(at_both_halves, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_other_half, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_sse_written, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_sse_read, -24), READ, READ);
    assert_answer(ask_slot(at_read_modify, -24), READ, READ);
}

FUNCTION(written_register,
         PUSH_RBX HERE(written_register) "mov %eax, %ebx\n mov %rbx, %rdi\n" POP_RBX);
FUNCTION(byte_register, PUSH_RBX HERE(byte_register) "mov %al, %bl\n mov %rbx, %rdi\n" POP_RBX);
FUNCTION(zeroed_register, PUSH_RBX HERE(zeroed_register) "xor %ebx, %ebx\n" POP_RBX);
FUNCTION(addressing_register,
         PUSH_RBX HERE(addressing_register) "mov (%rax,%rbx,8), %rdi\n" POP_RBX);
FUNCTION(perhaps_register,
         PUSH_RBX HERE(
             perhaps_register) "test %eax, %eax\n cmove %rax, %rbx\n mov %rbx, %rdi\n" POP_RBX);
FUNCTION(restored_register, PUSH_RBX HERE(restored_register) POP_RBX);
FUNCTION(foreign_register, FRAME HERE(foreign_register) UNFRAME);
FUNCTION(tail_register, PUSH_RBX HERE(tail_register) "pop %rbx\n.cfi_adjust_cfa_offset -8\n"
                                                     "jmp liveness_elsewhere\n");

Test(liveness, a_register_is_dead_where_all_of_it_is_written)
{
    assert_answer(ask_register(at_written_register, CRN_RBX), DEAD, WRITTEN);
    assert_answer(ask_register(at_byte_register, CRN_RBX), READ, READ);
    assert_answer(ask_register(at_zeroed_register, CRN_RBX), DEAD, WRITTEN);
    assert_answer(ask_register(at_addressing_register, CRN_RBX), READ, READ);
    assert_answer(ask_register(at_perhaps_register, CRN_RBX), READ, READ);
    assert_answer(ask_register(at_restored_register, CRN_RBX), DEAD, WRITTEN);
    assert_answer(ask_register(at_tail_register, CRN_RBX), DEAD, WRITTEN);
}

Test(liveness, a_register_that_is_not_the_functions_own_passes_on)
{
    int64_t offset = 0;
    assert_answer(ask_register(at_foreign_register, CRN_RBX), READ, PASSES_ON);
    cr_assert_eq(crn_liveness_saves((uintptr_t)at_foreign_register, true, CRN_RBX, &offset),
                 CRN_SAVED_NOT);
    cr_assert_eq(crn_liveness_saves((uintptr_t)at_restored_register, true, CRN_RBX, &offset),
                 CRN_SAVED_AT);
    cr_assert_eq(offset, -16);
    cr_assert_eq(crn_liveness_saves((uintptr_t)at_restored_register, true, CRN_R12, &offset),
                 CRN_SAVED_NOT);
}

FUNCTION(global_read,
         FRAME HERE(global_read) "test %eax, %eax\n je 1f\n mov (%rbx), %eax\n1: " UNFRAME);
FUNCTION(global_written,
         FRAME HERE(global_written) "test %eax, %eax\n je 1f\n lea 8(%rax), %rbx\n1: " UNFRAME);

Test(liveness, a_function_leaves_a_register_alone_only_if_no_path_reads_or_writes_it)
{
    cr_assert(crn_liveness_passes_on(engine, (uintptr_t)at_foreign_register, true, CRN_RBX));
    cr_assert_not(crn_liveness_passes_on(engine, (uintptr_t)at_global_read, true, CRN_RBX));
    cr_assert_not(crn_liveness_passes_on(engine, (uintptr_t)at_global_written, true, CRN_RBX));
    cr_assert_not(crn_liveness_passes_on(engine, (uintptr_t)at_restored_register, true, CRN_RBX));
    assert_answer(ask_register(at_global_read, CRN_RBX), READ, READ);
}

FUNCTION(
    one_branch,
    FRAME HERE(
        one_branch) "test %eax, %eax\n je 1f\n mov %rax, 8(%rsp)\n1: mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(
    both_branches,
    FRAME HERE(
        both_branches) "test %eax, %eax\n je 1f\n mov %rax, 8(%rsp)\n jmp 2f\n1: movq $0, 8(%rsp)\n"
                       "2: mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(loop_stale, FRAME "1:\n" HERE(loop_stale) "mov %rax, 8(%rsp)\n mov 8(%rsp), %rdi\n"
                                                   "call liveness_elsewhere\n jmp 1b\n");
FUNCTION(loop_live, FRAME "1:\n" HERE(loop_live) "mov 8(%rsp), %rdi\n mov %rax, 8(%rsp)\n"
                                                 "call liveness_elsewhere\n jmp 1b\n");

Test(liveness, every_path_counts_and_a_loop_comes_round)
{
    assert_answer(ask_slot(at_one_branch, -24), READ, READ);
    assert_answer(ask_slot(at_both_branches, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_loop_stale, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_loop_live, -24), READ, READ);
}

FUNCTION(escape_call, FRAME "lea 8(%rsp), %rdi\n" HERE(escape_call) UNFRAME);
FUNCTION(escape_store, FRAME "lea 8(%rsp), %rax\n mov %rax, (%rdi)\n" HERE(escape_store) UNFRAME);
FUNCTION(escape_later,
         FRAME HERE(escape_later) "mov %rsp, %rdi\n call liveness_elsewhere\n" UNFRAME);
FUNCTION(escape_index, FRAME HERE(escape_index) "mov 8(%rsp,%rax,8), %rdi\n" UNFRAME);
FUNCTION(escape_string,
         FRAME HERE(escape_string) "lea 8(%rsp), %rsi\n mov $8, %ecx\n rep movsb\n" UNFRAME);
FUNCTION(escape_xmm, FRAME
         "lea 8(%rsp), %rax\n movq %rax, %xmm0\n movups %xmm0, (%rdi)\n" HERE(escape_xmm) UNFRAME);
FUNCTION(escape_joined, FRAME "mov %rsi, %rax\n test %edi, %edi\n je 1f\n lea 8(%rsp), %rax\n"
                              "1: mov %rax, (%rdx)\n" HERE(escape_joined) UNFRAME);
FUNCTION(escape_syscall, FRAME "lea 8(%rsp), %rsi\n syscall\n" HERE(escape_syscall) UNFRAME);
FUNCTION(copied_only,
         FRAME "lea 8(%rsp), %rax\n mov %rax, %rdx\n mov %rdi, (%rdx)\n xor %edx, %edx\n"
               "xor %eax, %eax\n" HERE(copied_only) UNFRAME);
FUNCTION(read_by_copy,
         FRAME "push %r12\n.cfi_adjust_cfa_offset 8\n lea 16(%rsp), %r12\n" HERE(
             read_by_copy) "mov (%r12), %rdi\n pop %r12\n.cfi_adjust_cfa_offset -8\n" UNFRAME);

Test(liveness, what_lies_above_an_address_that_escaped_is_unknown)
{
    assert_answer(ask_slot(at_escape_call, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_call, -16), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_store, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_later, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_index, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_string, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_xmm, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_joined, -24), UNKNOWN, ESCAPED);
    assert_answer(ask_slot(at_escape_syscall, -24), UNKNOWN, ESCAPED);
}

Test(liveness, what_lies_below_it_is_dead_but_not_for_certain)
{
    assert_answer(ask_slot(at_escape_call, -32), DEAD, LEFT);
    assert_likely(ask_slot(at_escape_call, -32));
    assert_likely(ask_slot(at_escape_index, -32));
    assert_answer(ask_slot(at_copied_only, -24), DEAD, LEFT);
    assert_certain(ask_slot(at_copied_only, -24));
    assert_answer(ask_slot(at_read_by_copy, -24), READ, READ);
}

FUNCTION(masked,
         FRAME HERE(masked) "vmaskmovpd %ymm0, %ymm1, (%rsp)\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(mask_register,
         FRAME HERE(mask_register) "vmovdqu64 %ymm0, (%rsp){%k1}\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(bit_string, FRAME HERE(bit_string) "bt %rax, (%rsp)\n" UNFRAME);

Test(liveness, a_write_under_a_mask_is_none_and_a_bit_may_lie_anywhere)
{
    assert_answer(ask_slot(at_masked, -24), READ, READ);
    assert_answer(ask_slot(at_mask_register, -24), READ, READ);
    assert_answer(ask_slot(at_bit_string, -24), UNKNOWN, ESCAPED);
}

FUNCTION(variable, "push %rbp\n.cfi_adjust_cfa_offset 8\n.cfi_offset %rbp, -16\n mov %rsp, %rbp\n"
                   ".cfi_def_cfa_register %rbp\n push %rbx\n.cfi_offset %rbx, -24\n sub $8, %rsp\n"
                   "sub %rdi, %rsp\n" HERE(
                       variable) "mov -8(%rbp), %rbx\n leave\n.cfi_def_cfa %rsp, 8\n ret\n");
FUNCTION(computed, FRAME HERE(computed) "jmp *%rax\n mov 8(%rsp), %rdi\n" UNFRAME);
FUNCTION(after_setjmp, FRAME "call _setjmp\n mov 8(%rsp), %rdi\n" HERE(after_setjmp) UNFRAME);
FUNCTION(argument, FRAME "push %rdi\n.cfi_adjust_cfa_offset 8\n push %rsi\n"
                         ".cfi_adjust_cfa_offset 8\n" HERE(
                             argument) "add $16, %rsp\n.cfi_adjust_cfa_offset -16\n" UNFRAME);

Test(liveness, what_cannot_be_followed_is_unknown)
{
    assert_answer(ask_slot(at_variable, -32), UNKNOWN, STACK);
    assert_answer(ask_register(at_variable, CRN_RBX), DEAD, WRITTEN);
    assert_answer(ask_slot(at_computed, -24), UNKNOWN, INDIRECT);
    assert_answer(ask_register(at_computed, CRN_RBX), UNKNOWN, INDIRECT);
    assert_answer(ask_slot(at_after_setjmp, -24), UNKNOWN, RETURNS_TWICE);
    assert_answer(ask_slot(at_argument, -40), UNKNOWN, ARGUMENT);
    assert_answer(ask_slot(at_argument, -48), UNKNOWN, ARGUMENT);
    assert_answer(ask_slot(at_argument, -24), DEAD, LEFT);
    assert_answer(ask_slot(at_left_slot, -40), UNKNOWN, NO_PLACE);
    assert_answer(ask_slot(at_left_slot, -8), UNKNOWN, NO_PLACE);
    assert_answer(ask_slot(at_left_slot + 1, -24), UNKNOWN, UNSEEN);
}

FUNCTION(
    table,
    FRAME HERE(
        table) "cmp $2, %eax\n ja 9f\n lea 5f(%rip), %rdx\n"
               "movslq (%rdx,%rax,4), %rax\n add %rdx, %rax\n notrack jmp *%rax\n"
               "1: mov %rax, 8(%rsp)\n jmp 9f\n2: mov (%rsp), %rdi\n jmp 9f\n3: nop\n9: " UNFRAME
               ".section .rodata\n.p2align 2\n5: .long 1b-5b, 2b-5b, 3b-5b\n.text\n");
FUNCTION(trap, PUSH_RBX HERE(trap) "1: test %eax, %eax\n je 1b\n ud2\n");
FUNCTION(
    dies,
    FRAME HERE(dies) "test %eax, %eax\n je 1f\n" UNFRAME
                     ".cfi_adjust_cfa_offset 24\n1: call fn_trap\n mov 8(%rsp), %rdi\n" UNFRAME);

Test(liveness, tables_of_jumps_are_followed_and_calls_that_never_return_end_a_path)
{
    assert_answer(ask_slot(at_table, -24), DEAD, WRITTEN);
    assert_answer(ask_slot(at_table, -32), READ, READ);
    assert_answer(ask_slot(at_dies, -24), DEAD, LEFT);
}
