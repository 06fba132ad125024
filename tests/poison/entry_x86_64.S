/*
 * The functions that programs call, and through which poison.c gets to see their frames.
 *
 * Each stores the registers that calls keep on the stack, where poison.c may change them, and goes
 * on to the function of that name behind ours, with all its arguments.
 */
        .text

/* ENTRY name, real: `real` is where poison.c put the address of the function behind. */
.macro ENTRY name
        .globl  \name
        .type   \name, @function
        .p2align 4
\name:
        .cfi_startproc
        endbr64
        push    %rbx
        .cfi_adjust_cfa_offset 8
        push    %rbp
        .cfi_adjust_cfa_offset 8
        push    %r12
        .cfi_adjust_cfa_offset 8
        push    %r13
        .cfi_adjust_cfa_offset 8
        push    %r14
        .cfi_adjust_cfa_offset 8
        push    %r15
        .cfi_adjust_cfa_offset 8
        push    %rdi
        .cfi_adjust_cfa_offset 8
        push    %rsi
        .cfi_adjust_cfa_offset 8
        push    %rdx
        .cfi_adjust_cfa_offset 8
        push    %rcx
        .cfi_adjust_cfa_offset 8
        push    %r8
        .cfi_adjust_cfa_offset 8
        push    %r9
        .cfi_adjust_cfa_offset 8
        push    %r10
        .cfi_adjust_cfa_offset 8
        mov     %rsp, %rdi
        lea     poison_real_\name(%rip), %rsi
        call    poison_visit
        mov     %rax, %r11
        pop     %r10
        .cfi_adjust_cfa_offset -8
        pop     %r9
        .cfi_adjust_cfa_offset -8
        pop     %r8
        .cfi_adjust_cfa_offset -8
        pop     %rcx
        .cfi_adjust_cfa_offset -8
        pop     %rdx
        .cfi_adjust_cfa_offset -8
        pop     %rsi
        .cfi_adjust_cfa_offset -8
        pop     %rdi
        .cfi_adjust_cfa_offset -8
        pop     %r15
        .cfi_adjust_cfa_offset -8
        pop     %r14
        .cfi_adjust_cfa_offset -8
        pop     %r13
        .cfi_adjust_cfa_offset -8
        pop     %r12
        .cfi_adjust_cfa_offset -8
        pop     %rbp
        .cfi_adjust_cfa_offset -8
        pop     %rbx
        .cfi_adjust_cfa_offset -8
        jmp     *%r11
        .cfi_endproc
        .size   \name, .-\name

        .pushsection .rodata
poison_name_\name:
        .asciz  "\name"
        .popsection
        .pushsection .data.rel.local, "aw"
        .p2align 3
poison_real_\name:
        .quad   poison_name_\name       /* its name, until its address is known */
        .quad   0
        .popsection
.endm

        ENTRY malloc
        ENTRY calloc
        ENTRY realloc
        ENTRY free
        ENTRY read
        ENTRY write
        ENTRY poll
        ENTRY epoll_wait
        ENTRY pthread_cond_wait
        ENTRY pthread_mutex_lock
        ENTRY memcpy
        ENTRY strlen

        .section .note.GNU-stack, "", @progbits
