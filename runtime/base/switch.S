/*
 * Runs a function on another stack.  See switch.h.
 */
        .text
        .globl  crn_stack_call
        .hidden crn_stack_call
        .type   crn_stack_call, @function
crn_stack_call:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        movq    %rdx, %rsp
        andq    $-16, %rsp
        /* struct crn_saved_registers, from its end */
        pushq   8(%rbp)                 /* pc */
        leaq    16(%rbp), %rax
        pushq   %rax                    /* rsp */
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        pushq   (%rbp)                  /* rbp */
        pushq   %rbx
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rsp, %rsi
        call    *%rax
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   crn_stack_call, .-crn_stack_call
        .section .note.GNU-stack,"",@progbits
