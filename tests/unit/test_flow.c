/*
 * What of a trampoline's code tells that its entry has returned.
 */
#include <criterion/criterion.h>

#include "coro/flow.h"

/*
 * Each function is a trampoline of its own; `name_at` is the address behind the call in which it
 * is parked.  They are never run.
 */
#define TRAMPOLINE(name, before, after)                                   \
    extern const char name##_at[];                                        \
    __asm__(".text\n.p2align 4\n" #name ":\n.cfi_startproc\n" before "\n" \
            "call flow_switch\n" #name "_at:\n" after "\n.cfi_endproc\n.p2align 4\nint3\n")

__asm__(".text\nflow_switch:\n.cfi_startproc\nret\n.cfi_endproc\n"
        "flow_other:\n.cfi_startproc\nret\n.cfi_endproc\n");

static bool has_ended(const char *at)
{
    /* All of the address space: these are functions of this program. */
    static const struct crn_range everything = {4096, (uintptr_t)1 << 47};
    const struct crn_code code = {&everything, 1};
    return crn_flow_has_ended(&code, (uintptr_t)at);
}

static bool returns(const char *at)
{
    static const struct crn_range everything = {4096, (uintptr_t)1 << 47};
    const struct crn_code code = {&everything, 1};
    return crn_flow_returns(&code, (uintptr_t)at);
}

TRAMPOLINE(around, "1: mov 8(%rbx), %rdi; call *(%rbx)\nmovl $1, 16(%rbx)", "jmp 1b");
TRAMPOLINE(trap, "call *(%rbx)", "ud2");
TRAMPOLINE(aborts, "call *(%rbx)", "mov %rbx, %rdi\ncall flow_other");
TRAMPOLINE(padded, "nopl 0(%rax,%rax,1)\n1: mov 8(,%rbx,8), %rax\ncall *(%rbx,%rcx,2)", "jmp 1b");
TRAMPOLINE(stops, "call *(%rbx)", "1: jmp 1b");
TRAMPOLINE(last, "call *(%rbx)", "");
TRAMPOLINE(around_or_trap, "1: call *(%rbx)",
           "cmpb $0, 3(%rbx)\nje 1b\nmovabs $0x1122334455667788, %rax\nud2");

Test(flow, a_trampoline_has_ended)
{
    cr_assert(has_ended(around_at));
    cr_assert(has_ended(trap_at));
    cr_assert(has_ended(aborts_at));
    cr_assert(has_ended(padded_at));
    cr_assert(has_ended(stops_at));
    cr_assert(has_ended(last_at));
    cr_assert(has_ended(around_or_trap_at));
}

TRAMPOLINE(works, "1: call *(%rbx)", "call flow_other\njmp 1b");
TRAMPOLINE(yields, "1:", "jmp 1b");
TRAMPOLINE(calls_later, "nop", "call *(%rbx)\nud2");
TRAMPOLINE(comes_back, "call *(%rbx)", "add $8, %rsp\nret");
TRAMPOLINE(aborts_later, "nop", "call flow_other");
TRAMPOLINE(jumps, "call *(%rbx)", "jmp *%rax");
TRAMPOLINE(one_way, "1: call *(%rbx)", "test %eax, %eax\nje 1b\ncall flow_other\nnop\nud2");
TRAMPOLINE(vector, "1: call *(%rbx)", "vzeroupper\njmp 1b");

Test(flow, what_works_on_has_not_ended)
{
    cr_assert_not(has_ended(works_at));
    cr_assert_not(has_ended(yields_at));
    cr_assert_not(has_ended(calls_later_at));
    cr_assert_not(has_ended(comes_back_at));
    cr_assert_not(has_ended(aborts_later_at));
    cr_assert_not(has_ended(jumps_at));
    cr_assert_not(has_ended(one_way_at));
    cr_assert_not(has_ended(vector_at));
}

TRAMPOLINE(plain, "sub $8, %rsp", "add $8, %rsp\nret");
TRAMPOLINE(guarded, "sub $24, %rsp",
           "mov 8(%rsp), %rdx\nsub %fs:0x28, %rdx\njne 1f\nadd $24, %rsp\nret\n1: call flow_other");

Test(flow, a_wrapper_returns)
{
    cr_assert(returns(plain_at));
    cr_assert(returns(guarded_at));
    cr_assert(returns(comes_back_at));
    cr_assert_not(returns(works_at));
    cr_assert_not(returns(trap_at));
    cr_assert_not(returns(around_at));
    cr_assert_not(returns(aborts_at));
}
