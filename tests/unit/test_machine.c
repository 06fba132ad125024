/*
 * Interrupted system calls, as registers and code show them.  Each test lays code out in memory,
 * with `syscall` (0f 05) at its end, and asks as a handler would.
 */
#include "snap/machine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

static uint8_t code[128];

/* A context right behind the system call at the end of these bytes, which answered EINTR. */
static ucontext_t context_behind(const uint8_t *bytes, size_t count)
{
    ucontext_t context;
    memset(&context, 0, sizeof context);
    memset(code, 0x90, sizeof code);
    memcpy(code + sizeof code - count, bytes, count);
    greg_t *registers = context.uc_mcontext.gregs;
    registers[REG_RAX] = -EINTR;
    registers[REG_RIP] = (greg_t)(code + sizeof code);
    registers[REG_RSP] = (greg_t)&context;
    return context;
}

#define NUMBER_OF(...)                                            \
    ({                                                            \
        const uint8_t bytes[] = {__VA_ARGS__, 0x0f, 0x05};        \
        ucontext_t context = context_behind(bytes, sizeof bytes); \
        context.uc_mcontext.gregs[REG_RBP] = 202;                 \
        context.uc_mcontext.gregs[REG_R12] = 232;                 \
        struct crn_call call = crn_call_read(&context);           \
        cr_assert_eq(call.state, CRN_CALL_ENDED);                 \
        call.number;                                              \
    })

Test(machine, the_number_stands_right_before_the_call)
{
    cr_assert_eq(NUMBER_OF(0xb8, 0xe6, 0, 0, 0), 230);
    cr_assert_eq(NUMBER_OF(0x31, 0xc0), SYS_read);
}

Test(machine, other_instructions_may_stand_between)
{
    /* mov $0xca,%eax; movl $0,8(%r8,%rdx,4); mov %ebx,%esi; mov $0x7fffffff,%edx; xor $0x81,%sil */
    cr_assert_eq(NUMBER_OF(0xb8, 0xca, 0, 0, 0, 0x41, 0xc7, 0x44, 0x90, 0x08, 0, 0, 0, 0, 0x89,
                           0xde, 0xba, 0xff, 0xff, 0xff, 0x7f, 0x40, 0x80, 0xf6, 0x81),
                 202);
    /* mov $0xf4,%eax; movl $2,0x3c(%rsp) */
    cr_assert_eq(NUMBER_OF(0xb8, 0xf4, 0, 0, 0, 0xc7, 0x44, 0x24, 0x3c, 2, 0, 0, 0), 244);
    /* xor %eax,%eax; mov %rsp,%rsi; mov $1,%edx */
    cr_assert_eq(NUMBER_OF(0x31, 0xc0, 0x48, 0x89, 0xe6, 0xba, 1, 0, 0, 0), SYS_read);
}

Test(machine, the_number_may_come_from_a_register)
{
    cr_assert_eq(NUMBER_OF(0x89, 0xe8), 202);       /* mov %ebp,%eax */
    cr_assert_eq(NUMBER_OF(0x44, 0x89, 0xe0), 232); /* mov %r12d,%eax */
}

Test(machine, bytes_inside_another_instruction_are_no_number)
{
    /* mov 0x80(%rax),%rdi has b8 80 00 00 00 inside; the number came from memory */
    cr_assert_eq(NUMBER_OF(0x8b, 0x04, 0x24, 0x48, 0x8b, 0xb8, 0x80, 0, 0, 0, 0x8b, 0x04, 0x24),
                 -1);
    /* mov $0xe6,%eax; add $1,%eax */
    cr_assert_eq(NUMBER_OF(0xb8, 0xe6, 0, 0, 0, 0x83, 0xc0, 1), -1);
}

Test(machine, a_call_that_comes_again_has_its_number_in_rax)
{
    const uint8_t bytes[] = {0x8b, 0x04, 0x24, 0x0f, 0x05};
    ucontext_t context = context_behind(bytes, sizeof bytes);
    greg_t *registers = context.uc_mcontext.gregs;
    registers[REG_RCX] = registers[REG_RIP];
    registers[REG_RIP] -= 2;
    registers[REG_RAX] = SYS_flock;
    struct crn_call call = crn_call_read(&context);
    cr_assert_eq(call.state, CRN_CALL_COMING);
    cr_assert_eq(call.number, SYS_flock);
    crn_call_end(&context, &call, -EINTR);
    cr_assert_eq(registers[REG_RAX], -EINTR);
    cr_assert_eq(registers[REG_RIP], (greg_t)(code + sizeof code));

    /* It has not begun: rcx is not what the system call leaves there. */
    registers[REG_RCX] = 0;
    registers[REG_RIP] -= 2;
    registers[REG_RAX] = SYS_flock;
    cr_assert_eq(crn_call_read(&context).state, CRN_CALL_NONE);
}

Test(machine, a_call_is_issued_again_with_another_argument)
{
    const uint8_t bytes[] = {0xb8, 0xe8, 0, 0, 0, 0x0f, 0x05};
    ucontext_t context = context_behind(bytes, sizeof bytes);
    greg_t *registers = context.uc_mcontext.gregs;
    registers[REG_R10] = 2000;
    struct crn_call call = crn_call_read(&context);
    cr_assert_eq(call.arguments[3], 2000);
    crn_call_issue(&context, &call);
    crn_call_argument_set(&context, 3, 1500);
    cr_assert_eq(registers[REG_RAX], SYS_epoll_wait);
    cr_assert_eq(registers[REG_RIP], (greg_t)(code + sizeof code - 2));
    cr_assert_eq(registers[REG_R10], 1500);
}

Test(machine, other_results_are_left_alone)
{
    const uint8_t bytes[] = {0xb8, 0xe8, 0, 0, 0, 0x0f, 0x05};
    ucontext_t context = context_behind(bytes, sizeof bytes);
    context.uc_mcontext.gregs[REG_RAX] = -EAGAIN;
    cr_assert_eq(crn_call_read(&context).state, CRN_CALL_NONE);
    context.uc_mcontext.gregs[REG_RAX] = -EINTR;
    context.uc_mcontext.gregs[REG_RIP] -= 1;
    cr_assert_eq(crn_call_read(&context).state, CRN_CALL_NONE);
}
