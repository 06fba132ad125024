/*
 * Frames by hand, all of a few words, called by each other at random: with so few sizes, the same
 * return addresses come to lie in the same places below other callers, again and again.  That is
 * what a memo of the last walk must not fall for.  Some use rbp for a counter or for an address of
 * the stack; some say where the CFA is in ways that compilers seldom use.
 *
 * STACKS:    150000
 * EVERY:     6
 * EXPLAINED: ends_by_register
 * BUILD:     gcc -O1 -O2
 * BUILD:     gcc -O2 -fno-omit-frame-pointer
 * BUILD:     clang -O2
 */
#include "unwind.h"

typedef void shape(unsigned depth, uintptr_t padding);
void next_do(unsigned depth);
void finish(unsigned depth);

#define FUNCTION(name, body)                                                            \
    __asm__(".text\n\t.globl " #name "\n\t.type " #name ", @function\n" #name ":\n\t"   \
            ".cfi_startproc\n\t" body "\n\t.cfi_endproc\n\t.size " #name ", .-" #name); \
    shape name

#define BY_RSP(name, bytes)                                                          \
    FUNCTION(name, "subq $" #bytes ", %rsp\n\t.cfi_adjust_cfa_offset " #bytes "\n\t" \
                   "call next_do\n\t"                                                \
                   "addq $" #bytes ", %rsp\n\t.cfi_adjust_cfa_offset -" #bytes "\n\tret")
#define BY_RBP(name, bytes)                                                              \
    FUNCTION(name, "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbp, -16\n\t" \
                   "movq %rsp, %rbp\n\t.cfi_def_cfa_register %rbp\n\t"                   \
                   "subq $" #bytes ", %rsp\n\t"                                          \
                   "call next_do\n\t"                                                    \
                   "leave\n\t.cfi_def_cfa %rsp, 8\n\tret")
/* rbp saved, then used for `value`. */
#define COUNTS(name, value)                                                                    \
    FUNCTION(name, "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbp, -16\n\t" value \
                   "\n\tcall next_do\n\t"                                                      \
                   "popq %rbp\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore %rbp\n\tret")

BY_RSP(by_rsp_8, 8);
BY_RSP(by_rsp_24, 24);
BY_RSP(by_rsp_40, 40);
BY_RSP(by_rsp_8_too, 8);
BY_RBP(by_rbp_0, 0);
BY_RBP(by_rbp_16, 16);
BY_RBP(by_rbp_16_too, 16);
COUNTS(counts_small, "movl $7, %ebp");
COUNTS(counts_stack, "leaq -32(%rsp), %rbp");
COUNTS(counts_higher, "leaq 64(%rsp), %rbp");

/* As alloca does. */
FUNCTION(pads, "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbp, -16\n\t"
               "movq %rsp, %rbp\n\t.cfi_def_cfa_register %rbp\n\t"
               "subq %rsi, %rsp\n\t"
               "call next_do\n\t"
               "leave\n\t.cfi_def_cfa %rsp, 8\n\tret");
/* rbp kept as it is, and the frame found by it. */
FUNCTION(pads_and_counts, "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbp, -16\n\t"
                          "movq %rsp, %rbp\n\t.cfi_def_cfa_register %rbp\n\t"
                          "subq %rsi, %rsp\n\t"
                          "call counts_small\n\t"
                          "leave\n\t.cfi_def_cfa %rsp, 8\n\tret");
/* Realigned, so that the frame does not show where its caller's lies; as gcc's DRAP does it. */
FUNCTION(realigns, "leaq 8(%rsp), %r10\n\t.cfi_def_cfa %r10, 0\n\t"
                   "andq $-64, %rsp\n\t"
                   "pushq -8(%r10)\n\t"
                   "pushq %rbp\n\t"
                   "movq %rsp, %rbp\n\t.cfi_escape 0x10, 6, 2, 0x76, 0\n\t" /* rbp at 0(rbp) */
                   "pushq %r10\n\t.cfi_escape 0x0f, 3, 0x76, 0x78, 6\n\t"   /* CFA: *(rbp - 8) */
                   "subq $8, %rsp\n\t"
                   "call next_do\n\t"
                   "addq $8, %rsp\n\t"
                   "popq %r10\n\t.cfi_def_cfa %r10, 0\n\t"
                   "popq %rbp\n\t"
                   "leaq -8(%r10), %rsp\n\t.cfi_def_cfa %rsp, 8\n\tret");
/* Arguments pushed for the callee to pop, as DW_CFA_GNU_args_size has it. */
FUNCTION(pushes, "pushq $1\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_escape 0x2e, 8\n\t"
                 "call next_do\n\t"
                 "pushq $2\n\t.cfi_adjust_cfa_offset 8\n\t"
                 "pushq $3\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_escape 0x2e, 24\n\t"
                 "xorl %edi, %edi\n\t"
                 "call next_do\n\t"
                 "addq $24, %rsp\n\t.cfi_adjust_cfa_offset -24\n\t.cfi_escape 0x2e, 0\n\tret");
/* CFA: rsp + 16, by an expression. */
FUNCTION(by_expression, "subq $8, %rsp\n\t.cfi_escape 0x0f, 2, 0x77, 16\n\t"
                        "call next_do\n\t"
                        "addq $8, %rsp\n\t.cfi_def_cfa %rsp, 8\n\tret");
/* CFA: *(rsp + 8) + 8, where the address of the return address was kept. */
FUNCTION(by_kept_address, "movq %rsp, %rax\n\tsubq %rsi, %rsp\n\tsubq $24, %rsp\n\t"
                          "movq %rax, 8(%rsp)\n\t"
                          ".cfi_escape 0x0f, 5, 0x77, 8, 6, 0x23, 8\n\t"
                          "call next_do\n\t"
                          "movq 8(%rsp), %rsp\n\t.cfi_def_cfa %rsp, 8\n\tret");
/* Remembers and restores states, as epilogues in the middle do. */
FUNCTION(remembers, "pushq %rbp\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbp, -16\n\t"
                    "testl %edi, %edi\n\tjne 1f\n\t.cfi_remember_state\n\t"
                    "popq %rbp\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore %rbp\n\tret\n"
                    "1:\n\t.cfi_restore_state\n\t"
                    "subq $16, %rsp\n\t.cfi_def_cfa_offset 32\n\t"
                    "call next_do\n\t"
                    "addq $16, %rsp\n\t.cfi_def_cfa_offset 16\n\t"
                    "popq %rbp\n\t.cfi_def_cfa_offset 8\n\t.cfi_restore %rbp\n\tret");
/* CFA: rbx + 16; the frame is found by a register that nobody else's is found by. */
FUNCTION(by_rbx, "pushq %rbx\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbx, -16\n\t"
                 "movq %rsp, %rbx\n\t.cfi_def_cfa_register %rbx\n\t"
                 "subq %rsi, %rsp\n\t"
                 "call next_do\n\t"
                 "movq %rbx, %rsp\n\t.cfi_def_cfa_register %rsp\n\t"
                 "popq %rbx\n\t.cfi_adjust_cfa_offset -8\n\t.cfi_restore %rbx\n\tret");
/* The call is the last instruction: what follows is another function, with another frame. */
FUNCTION(ends_in_a_call, "pushq %rbx\n\t.cfi_adjust_cfa_offset 8\n\t.cfi_offset %rbx, -16\n\t"
                         "call finish");
FUNCTION(follows_a_call, "ud2");

static shape *const shapes[] = {
    by_rsp_8,      by_rsp_24,    by_rsp_40,     by_rsp_8_too,    by_rbp_0,  by_rbp_16,
    by_rbp_16_too, counts_small, counts_stack,  counts_higher,   pads,      pads_and_counts,
    realigns,      pushes,       by_expression, by_kept_address, remembers, by_rbx};

__attribute__((used)) void finish(unsigned depth)
{
    (void)depth;
    ALLOCATE();
    exit(0);
}

__attribute__((noinline, used)) void next_do(unsigned depth)
{
    if (depth == 0)
        ALLOCATE();
    else
        shapes[random_below(sizeof shapes / sizeof shapes[0])](depth - 1, 16 * random_below(4));
    NO_TAIL_CALL();
}

int main(void)
{
    for (unsigned i = 0; i < 150000; i++)
        next_do(1 + random_below(6));
    ends_in_a_call(0, 0);
    return 1;
}
