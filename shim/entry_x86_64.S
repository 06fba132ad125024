/*
 * Interposers that must be tail jumps: what they forward to looks at its caller, or returns twice.
 *
 *   dlopen       uses its return address to find the caller's library and search path
 *   swapcontext  saves the frame it is called from
 *   setcontext   likewise never returns here
 *
 * Each tells C first, on the caller's stack, with the registers the real function will see.
 */
        .text

/* dlopen(path, flags): without RTLD_DEEPBIND (8), so that libraries keep using our malloc. */
        .globl  dlopen
        .type   dlopen, @function
dlopen:
        .cfi_startproc
        andl    $~8, %esi
        pushq   %rdi
        .cfi_def_cfa_offset 16
        pushq   %rsi
        .cfi_def_cfa_offset 24
        pushq   %rbx
        .cfi_def_cfa_offset 32
        .cfi_offset %rbx, -32
        movq    %rsp, %rbx
        .cfi_def_cfa_register %rbx
        andq    $-16, %rsp              /* whoever calls may have it off by 8 */
        call    crn_note_dlopen
        movq    %rbx, %rsp
        .cfi_def_cfa_register %rsp
        popq    %rbx
        .cfi_restore %rbx
        .cfi_def_cfa_offset 24
        popq    %rsi
        .cfi_def_cfa_offset 16
        popq    %rdi
        .cfi_def_cfa_offset 8
        jmp     *crn_real_dlopen(%rip)
        .cfi_endproc
        .size   dlopen, .-dlopen

/*
 * Builds a struct crn_saved_registers of the caller on the stack and calls note(rdi, rsi, it).
 * Leaves everything but scratch registers as it was.
 */
        .macro  TELL note
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   16(%rsp)                /* pc: the return address */
        .cfi_adjust_cfa_offset 8
        leaq    32(%rsp), %rax          /* rsp after the return */
        pushq   %rax
        .cfi_adjust_cfa_offset 8
        pushq   %r15
        .cfi_adjust_cfa_offset 8
        pushq   %r14
        .cfi_adjust_cfa_offset 8
        pushq   %r13
        .cfi_adjust_cfa_offset 8
        pushq   %r12
        .cfi_adjust_cfa_offset 8
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        movq    %rsp, %rdx
        pushq   %rbx                    /* once more: C may wipe the other */
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        movq    %rsp, %rbx
        .cfi_def_cfa_register %rbx
        andq    $-16, %rsp              /* whoever calls may have it off by 8 */
        call    \note
        movq    %rbx, %rsp
        .cfi_def_cfa_register %rsp
        popq    %rbx
        .cfi_restore %rbx
        .cfi_adjust_cfa_offset -8
        addq    $64, %rsp
        .cfi_adjust_cfa_offset -64
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        .endm

        .globl  swapcontext
        .type   swapcontext, @function
swapcontext:
        .cfi_startproc
        TELL    crn_note_swapcontext
        jmp     *crn_real_swapcontext(%rip)
        .cfi_endproc
        .size   swapcontext, .-swapcontext

        .globl  setcontext
        .type   setcontext, @function
setcontext:
        .cfi_startproc
        TELL    crn_note_setcontext
        jmp     *crn_real_setcontext(%rip)
        .cfi_endproc
        .size   setcontext, .-setcontext

/* These are all ours: a sanitizer's runtime, where there is one, is called from C. */
        .globl  __sanitizer_start_switch_fiber
        .type   __sanitizer_start_switch_fiber, @function
__sanitizer_start_switch_fiber:
        .cfi_startproc
        movq    %rdx, %rcx
        TELL    crn_note_start_switch
        ret
        .cfi_endproc
        .size   __sanitizer_start_switch_fiber, .-__sanitizer_start_switch_fiber

        .globl  __tsan_switch_to_fiber
        .type   __tsan_switch_to_fiber, @function
__tsan_switch_to_fiber:
        .cfi_startproc
        TELL    crn_note_fiber_switch
        ret
        .cfi_endproc
        .size   __tsan_switch_to_fiber, .-__tsan_switch_to_fiber

/*
 * crn_makecontext_pass(real, context, entry, count, arguments): real(context, entry, count, …), with
 * three arguments in registers and any number more on the stack.
 */
        .globl  crn_makecontext_pass
        .hidden crn_makecontext_pass
        .type   crn_makecontext_pass, @function
crn_makecontext_pass:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        movq    %rdi, %r11
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movl    %ecx, %edx
        movq    %r8, %r10
        movslq  %ecx, %rax
        subq    $3, %rax                /* how many go on the stack */
        jle     3f
        testb   $1, %al
        jz      2f
        subq    $8, %rsp
2:      pushq   16(%r10,%rax,8)         /* the last one first */
        decq    %rax
        jnz     2b
3:      movq    (%r10), %rcx
        movq    8(%r10), %r8
        movq    16(%r10), %r9
        xorl    %eax, %eax
        call    *%r11
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   crn_makecontext_pass, .-crn_makecontext_pass

/*
 * Where a coroutine's entry function returns to, in place of glibc's __start_context, with rbx
 * pointing at uc_link as makecontext left it.  Tells C, then goes where it would have gone.
 */
        .globl  crn_ucontext_end
        .hidden crn_ucontext_end
        .type   crn_ucontext_end, @function
        .cfi_startproc
        .cfi_undefined %rip
        nop                             /* return addresses are looked up one byte early */
crn_ucontext_end:
        movq    %rbx, %rsp
        andq    $-16, %rsp
        movq    (%rbx), %rdi
        movq    %rbx, %rsi
        call    crn_note_ucontext_end
        movq    %rbx, %rsp
        jmp     *crn_start_context(%rip)
        .cfi_endproc
        .size   crn_ucontext_end, .-crn_ucontext_end

/*
 * The first function of ours that ends the process, or checks: hands a struct crn_saved_registers of
 * its caller to C, as one argument more.  What lies below that rsp is not the program's.
 */
        .macro  ENTER name, to, argument
        .globl  \name
        .type   \name, @function
\name:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        andq    $-16, %rsp
        pushq   8(%rbp)                 /* pc */
        leaq    16(%rbp), %rax
        pushq   %rax                    /* rsp */
        pushq   %r15
        pushq   %r14
        pushq   %r13
        pushq   %r12
        pushq   (%rbp)                  /* rbp */
        pushq   %rbx
        movq    %rsp, \argument
        call    \to
        movq    %rbp, %rsp
        popq    %rbp
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   \name, .-\name
        .endm

        ENTER   exit, crn_exit, %rsi
        ENTER   _exit, crn_exit_now, %rsi
        ENTER   _Exit, crn_exit_now, %rsi
        ENTER   quick_exit, crn_quick_exit, %rsi
        ENTER   daemon, crn_daemon, %rdx
        .hidden crn_very_last
        ENTER   crn_very_last, crn_very_last_do, %rdx
        ENTER   coroner_v1_check, crn_probe_check, %rcx
        ENTER   coroner_v1_scope_end, crn_probe_scope_end, %rdx
        ENTER   coroner_v1_assert_failed, crn_probe_assert_failed, %rcx
        ENTER   coroner_v1_leak_check, crn_valgrind_leak_check, %rsi
        ENTER   coroner_v1_lsan_check, crn_lsan_check, %rsi
        ENTER   __lsan_do_leak_check, crn_lsan_do_leak_check, %rdi
        ENTER   __lsan_do_recoverable_leak_check, crn_lsan_do_recoverable_leak_check, %rdi

/*
 * syscall(number, …) as libc has it.  The system call destroys its number, so that is noted before:
 * a call that a stop interrupts must go on (snap/resume.h).  Of a few calls C is told before, with all
 * their words in a struct crn_syscall_arguments (places.h), and may answer them itself.
 */
        .globl  syscall, crn_syscall_issued
        .hidden crn_syscall_issued
        .type   syscall, @function
syscall:
        .cfi_startproc
        cmpq    $511, %rdi
        ja      2f
        leaq    crn_syscall_marks(%rip), %rax
        cmpb    $0, (%rax,%rdi)
        jne     3f
2:      movq    crn_syscall_number@gottpoff(%rip), %rax
        movq    %rdi, %fs:(%rax)
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
        movq    8(%rsp), %r9
        syscall
crn_syscall_issued:
        cmpq    $-4095, %rax
        jae     1f
        ret
1:      pushq   %rax
        .cfi_adjust_cfa_offset 8
        call    __errno_location@PLT
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        negl    %edx
        movl    %edx, (%rax)
        movq    $-1, %rax
        ret
3:      pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        andq    $-16, %rsp
        pushq   $0                      /* keeps it aligned */
        pushq   16(%rbp)
        pushq   %r9
        pushq   %r8
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        movq    %rsp, %rdi
        call    crn_note_syscall
        testb   %al, %al
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %r8
        popq    %r9
        movq    %rbp, %rsp
        .cfi_def_cfa_register %rsp
        popq    %rbp
        .cfi_restore %rbp
        .cfi_adjust_cfa_offset -8
        jz      2b
        movq    %rdi, %rax
        ret
        .cfi_endproc
        .size   syscall, .-syscall

        .section .note.GNU-stack,"",@progbits
