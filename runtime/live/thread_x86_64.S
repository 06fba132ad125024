/*
 * Begins a thread of ours, or leaves one.  See thread.h.
 */
        .text
        .globl  crn_live_clone
        .hidden crn_live_clone
        .type   crn_live_clone, @function
/* long crn_live_clone(flags, stack_end, tls, tid_word, function, argument) */
crn_live_clone:
        .cfi_startproc
        andq    $-16, %rsi
        movq    %r8, -16(%rsi)          /* function and argument lie on the new stack */
        movq    %r9, -8(%rsi)
        subq    $16, %rsi
        movq    %rdx, %r8               /* tls */
        movq    %rcx, %r10              /* tid_word */
        xorl    %edx, %edx
        movl    $56, %eax               /* clone: flags, stack, parent_tid, child_tid, tls */
        syscall
        testq   %rax, %rax
        jz      1f
        ret
1:      .cfi_undefined %rip
        xorl    %ebp, %ebp
        popq    %rax
        popq    %rdi
        call    *%rax
        xorl    %edi, %edi
        movl    $60, %eax               /* exit: this thread alone */
        syscall
        ud2
        .cfi_endproc
        .size   crn_live_clone, .-crn_live_clone
        .section .note.GNU-stack,"",@progbits
