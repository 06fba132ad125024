/*
 * How a thread leaves our handler, and what it does then, when returning from the handler is not
 * enough.  See machine_x86_64.c, which fills the frames.
 *
 * All run on the program's stack, below its red zone, so that a signal that comes meanwhile finds
 * an ordinary stack.  The unwind rules lead from each instruction to the interrupted call: a
 * cancellation unwinds from here.
 */
        .set    RED_ZONE, 128

/*
 * crn_restart_leave(rdi: context, rsi: frame, rdx: parts of the extended state)
 *
 * sigreturn(2) by hand, with restart_syscall in the call's place.  The kernel forgets at sigreturn
 * how the call goes on; here that happens only when a handler of the program's runs on the way, and
 * then restart_syscall answers EINTR, as it must.
 *
 * The frame: mask, rdi, rsi, rdx, r10, rip, flags.
 */
        .set    FRAME, 56
        .text
        .globl  crn_restart_leave, crn_restart_open, crn_restart_flags, crn_restart_zone
        .globl  crn_restart_jump
        .hidden crn_restart_leave, crn_restart_open, crn_restart_flags, crn_restart_zone
        .hidden crn_restart_jump
        .type   crn_restart_leave, @function
crn_restart_leave:
        .cfi_startproc
        .cfi_signal_frame
        movq    224(%rdi), %rcx         /* uc_mcontext.fpregs */
        movl    %edx, %eax
        testq   %rdx, %rdx
        jz      1f
        shrq    $32, %rdx
        xrstor64 (%rcx)
        jmp     2f
1:      fxrstor64 (%rcx)
2:      movq    40(%rdi), %r8           /* uc_mcontext.gregs, in the order of sys/ucontext.h */
        movq    48(%rdi), %r9
        movq    72(%rdi), %r12
        movq    80(%rdi), %r13
        movq    88(%rdi), %r14
        movq    96(%rdi), %r15
        movq    120(%rdi), %rbp
        movq    128(%rdi), %rbx
        movq    %rsi, %rsp
        .cfi_def_cfa %rsp, FRAME + RED_ZONE
        .cfi_offset %rip, 40 - (FRAME + RED_ZONE)
        movl    $2, %edi                /* SIG_SETMASK */
        movq    %rsp, %rsi
        xorl    %edx, %edx
        movl    $8, %r10d
        movl    $14, %eax               /* rt_sigprocmask: signals come from here on */
        syscall
crn_restart_open:
        movq    8(%rsp), %rdi
        movq    16(%rsp), %rsi
        movq    24(%rsp), %rdx
        movq    32(%rsp), %r10
        movq    40(%rsp), %rcx
        movl    $219, %eax              /* restart_syscall */
        addq    $FRAME - 8, %rsp
        .cfi_def_cfa_offset 8 + RED_ZONE
crn_restart_flags:
        popfq
        .cfi_def_cfa_offset RED_ZONE
crn_restart_zone:
        leaq    RED_ZONE(%rsp), %rsp
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
crn_restart_jump:
        jmp     *%rcx
        .cfi_endproc
        .size   crn_restart_leave, .-crn_restart_leave

/*
 * crn_poll_begin, where the handler returns to: waits for a descriptor, then issues the call, or
 * ends it with what the frame says.  Answers in rax and leaves all registers but rcx and r11 alone,
 * as a system call does.
 *
 * The frame: struct pollfd, struct timespec, result at the limit, number, six arguments, rip.
 */
        .set    POLL_FRAME, 96
        .globl  crn_poll_begin, crn_poll_issued
        .hidden crn_poll_begin, crn_poll_issued
        .type   crn_poll_begin, @function
crn_poll_begin:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, POLL_FRAME + RED_ZONE
        .cfi_offset %rip, 88 - (POLL_FRAME + RED_ZONE)
        movq    %rsp, %rdi
        movl    $1, %esi
        leaq    8(%rsp), %rdx
        xorl    %r10d, %r10d
        movl    $8, %r8d
        movl    $271, %eax              /* ppoll: the kernel writes back what is left */
        syscall
        testq   %rax, %rax
        js      2f
        jz      1f
        movq    40(%rsp), %rdi
        movq    48(%rsp), %rsi
        movq    56(%rsp), %rdx
        movq    64(%rsp), %r10
        movq    72(%rsp), %r8
        movq    80(%rsp), %r9
        movq    32(%rsp), %rax
        syscall
crn_poll_issued:
        jmp     2f
1:      movq    24(%rsp), %rax
2:      movq    40(%rsp), %rdi
        movq    48(%rsp), %rsi
        movq    56(%rsp), %rdx
        movq    64(%rsp), %r10
        movq    72(%rsp), %r8
        movq    80(%rsp), %r9
        movq    88(%rsp), %rcx
        leaq    POLL_FRAME + RED_ZONE(%rsp), %rsp
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   crn_poll_begin, .-crn_poll_begin

/*
 * crn_rest_begin, where the handler returns to: makes one or two calls that do the rest of one that
 * was ended half way, and answers the sum.  Leaves all registers but rcx and r11 alone.
 *
 * The frame: done, rip, six arguments, two pieces (number, six arguments, expected), a msghdr.
 */
        .set    REST_FRAME, 248
        .set    PIECES, 64
        .set    PIECE, 64
        .macro  ARGUMENTS at
        movq    \at(%rsp), %rdi
        movq    \at + 8(%rsp), %rsi
        movq    \at + 16(%rsp), %rdx
        movq    \at + 24(%rsp), %r10
        movq    \at + 32(%rsp), %r8
        movq    \at + 40(%rsp), %r9
        .endm
        .globl  crn_rest_begin, crn_rest_first, crn_rest_second
        .hidden crn_rest_begin, crn_rest_first, crn_rest_second
        .type   crn_rest_begin, @function
crn_rest_begin:
        .cfi_startproc
        .cfi_signal_frame
        .cfi_def_cfa %rsp, REST_FRAME + RED_ZONE
        .cfi_offset %rip, 8 - (REST_FRAME + RED_ZONE)
        ARGUMENTS PIECES + 8
        movq    PIECES(%rsp), %rax
        syscall
crn_rest_first:
        testq   %rax, %rax
        js      1f
        addq    %rax, (%rsp)
        cmpq    PIECES + 56(%rsp), %rax
        jne     1f                      /* a signal of the program's: the rest stays undone */
        movq    PIECES + PIECE(%rsp), %rax
        testq   %rax, %rax
        jz      1f
        ARGUMENTS PIECES + PIECE + 8
        syscall
crn_rest_second:
        testq   %rax, %rax
        js      1f
        addq    %rax, (%rsp)
1:      movq    (%rsp), %rax
        ARGUMENTS 16
        movq    8(%rsp), %rcx
        leaq    REST_FRAME + RED_ZONE(%rsp), %rsp
        .cfi_def_cfa_offset 0
        .cfi_register %rip, %rcx
        jmp     *%rcx
        .cfi_endproc
        .size   crn_rest_begin, .-crn_rest_begin

        .section .note.GNU-stack,"",@progbits
