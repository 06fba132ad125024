#ifndef SWITCHES_H
#define SWITCHES_H
/*
 * Context switches as programs write them by hand, one for each way of keeping the registers.
 *
 *     pushed      six registers on the stack, its pointer in memory  (libcoro, Ruby)
 *     buffer      all in a buffer, rip is a label behind the jump    (minicoro)
 *     swap        sp in a buffer before the return address is popped (libco)
 *     swap-bytes  the same, as bytes of machine code                 (libco)
 *     swap-popped sp in a buffer after it is popped
 *     threads     an unmangled jmp_buf                               (State Threads)
 *     frame-38    a frame with the return address at +0x38, whose address is the handle (Boost)
 *     frame-40    the same with a word more, at +0x40                (Boost with stack protector)
 *
 * The case defines begin(), which is called on each new stack and never returns.
 */
#include "case.h"

/* What is kept of a stack that was left. */
struct place {
    void *words[8];
};

struct flavour {
    const char *name;
    /* Lets the first switch to `place` call begin() on the stack that ends at `top`. */
    void (*make)(struct place *place, uintptr_t *top);
    void (*go)(struct place *from, struct place *to);
};

static void begin(void);

void switch_pushed(struct place *from, struct place *to);
void switch_buffer(struct place *from, struct place *to);
void switch_swap(struct place *to, struct place *from);
void switch_swap_popped(struct place *to, struct place *from);
int registers_save(struct place *place) __attribute__((returns_twice));
void registers_restore(struct place *place) __attribute__((noreturn));
void *jump_38(void *to);
void *jump_40(void *to);

__asm__(".text\n"
        "switch_pushed:\n"
        "    push %rbp; push %rbx; push %r12; push %r13; push %r14; push %r15\n"
        "    mov %rsp, (%rdi)\n"
        "    mov (%rsi), %rsp\n"
        "    pop %r15; pop %r14; pop %r13; pop %r12; pop %rbx; pop %rbp\n"
        "    ret\n"
        "switch_buffer:\n"
        "    lea 1f(%rip), %rax\n"
        "    mov %rax, (%rdi); mov %rsp, 8(%rdi); mov %rbp, 16(%rdi); mov %rbx, 24(%rdi)\n"
        "    mov %r12, 32(%rdi); mov %r13, 40(%rdi); mov %r14, 48(%rdi); mov %r15, 56(%rdi)\n"
        "    mov 56(%rsi), %r15; mov 48(%rsi), %r14; mov 40(%rsi), %r13; mov 32(%rsi), %r12\n"
        "    mov 24(%rsi), %rbx; mov 16(%rsi), %rbp; mov 8(%rsi), %rsp\n"
        "    jmp *(%rsi)\n"
        "1:  ret\n"
        "switch_swap:\n"
        "    mov %rsp, (%rsi); mov (%rdi), %rsp\n"
        "    pop %rax\n"
        "    mov %rbp, 8(%rsi); mov %rbx, 16(%rsi); mov %r12, 24(%rsi); mov %r13, 32(%rsi)\n"
        "    mov %r14, 40(%rsi); mov %r15, 48(%rsi)\n"
        "    mov 8(%rdi), %rbp; mov 16(%rdi), %rbx; mov 24(%rdi), %r12; mov 32(%rdi), %r13\n"
        "    mov 40(%rdi), %r14; mov 48(%rdi), %r15\n"
        "    jmp *%rax\n"
        "switch_swap_popped:\n"
        "    pop %rax\n"
        "    mov %rax, (%rsi); mov %rsp, 8(%rsi); mov %rbp, 16(%rsi); mov %rbx, 24(%rsi)\n"
        "    mov %r12, 32(%rsi); mov %r13, 40(%rsi); mov %r14, 48(%rsi); mov %r15, 56(%rsi)\n"
        "    mov 8(%rdi), %rsp; mov 16(%rdi), %rbp; mov 24(%rdi), %rbx; mov 32(%rdi), %r12\n"
        "    mov 40(%rdi), %r13; mov 48(%rdi), %r14; mov 56(%rdi), %r15\n"
        "    jmp *(%rdi)\n"
        "registers_save:\n"
        "    mov %rbx, (%rdi); mov %rbp, 8(%rdi); mov %r12, 16(%rdi); mov %r13, 24(%rdi)\n"
        "    mov %r14, 32(%rdi); mov %r15, 40(%rdi)\n"
        "    lea 8(%rsp), %rdx; mov %rdx, 48(%rdi)\n"
        "    mov (%rsp), %rax; mov %rax, 56(%rdi)\n"
        "    xor %eax, %eax\n"
        "    ret\n"
        "registers_restore:\n"
        "    mov (%rdi), %rbx; mov 8(%rdi), %rbp; mov 16(%rdi), %r12; mov 24(%rdi), %r13\n"
        "    mov 32(%rdi), %r14; mov 40(%rdi), %r15\n"
        "    mov $1, %eax\n"
        "    mov 56(%rdi), %rdx; mov 48(%rdi), %rsp\n"
        "    jmp *%rdx\n"
        "jump_38:\n"
        "    lea -0x38(%rsp), %rsp; stmxcsr (%rsp); fnstcw 4(%rsp)\n"
        "    mov %r12, 0x08(%rsp); mov %r13, 0x10(%rsp); mov %r14, 0x18(%rsp)\n"
        "    mov %r15, 0x20(%rsp); mov %rbx, 0x28(%rsp); mov %rbp, 0x30(%rsp)\n"
        "    mov %rsp, %rax; mov %rdi, %rsp\n"
        "    mov 0x38(%rsp), %r8; ldmxcsr (%rsp); fldcw 4(%rsp)\n"
        "    mov 0x08(%rsp), %r12; mov 0x10(%rsp), %r13; mov 0x18(%rsp), %r14\n"
        "    mov 0x20(%rsp), %r15; mov 0x28(%rsp), %rbx; mov 0x30(%rsp), %rbp\n"
        "    lea 0x40(%rsp), %rsp; mov %rax, %rdi\n"
        "    jmp *%r8\n"
        "jump_40:\n"
        "    lea -0x40(%rsp), %rsp; stmxcsr (%rsp); fnstcw 4(%rsp)\n"
        "    mov %fs:0x28, %rcx; mov %rcx, 0x08(%rsp)\n"
        "    mov %r12, 0x10(%rsp); mov %r13, 0x18(%rsp); mov %r14, 0x20(%rsp)\n"
        "    mov %r15, 0x28(%rsp); mov %rbx, 0x30(%rsp); mov %rbp, 0x38(%rsp)\n"
        "    mov %rsp, %rax; mov %rdi, %rsp\n"
        "    mov 0x40(%rsp), %r8; ldmxcsr (%rsp); fldcw 4(%rsp)\n"
        "    mov 0x08(%rsp), %rcx; mov %rcx, %fs:0x28\n"
        "    mov 0x10(%rsp), %r12; mov 0x18(%rsp), %r13; mov 0x20(%rsp), %r14\n"
        "    mov 0x28(%rsp), %r15; mov 0x30(%rsp), %rbx; mov 0x38(%rsp), %rbp\n"
        "    lea 0x48(%rsp), %rsp; mov %rax, %rdi\n"
        "    jmp *%r8\n");

/* switch_swap as an assembler wrote it, in a page of its own that is made executable. */
/* clang-format off */
_Alignas(4096) GLOBAL unsigned char swap_code[4096] = {
    0x48, 0x89, 0x26, 0x48, 0x8b, 0x27, 0x58, 0x48, 0x89, 0x6e, 0x08, 0x48, 0x89, 0x5e,
    0x10, 0x4c, 0x89, 0x66, 0x18, 0x4c, 0x89, 0x6e, 0x20, 0x4c, 0x89, 0x76, 0x28, 0x4c,
    0x89, 0x7e, 0x30, 0x48, 0x8b, 0x6f, 0x08, 0x48, 0x8b, 0x5f, 0x10, 0x4c, 0x8b, 0x67,
    0x18, 0x4c, 0x8b, 0x6f, 0x20, 0x4c, 0x8b, 0x77, 0x28, 0x4c, 0x8b, 0x7f, 0x30, 0xff,
    0xe0,
};
/* clang-format on */

/* The return address of begin() is 0: nothing called it. */
static void make_pushed(struct place *place, uintptr_t *top)
{
    memset(top - 8, 0, 8 * sizeof *top);
    top[-2] = (uintptr_t)begin;
    place->words[0] = top - 8;
}

static void make_buffer(struct place *place, uintptr_t *top)
{
    top[-1] = 0;
    place->words[0] = (void *)begin;
    place->words[1] = top - 1;
}

static void make_swap(struct place *place, uintptr_t *top)
{
    top[-1] = 0;
    top[-2] = (uintptr_t)begin;
    place->words[0] = top - 2;
}

/* Behind a call: it is to be one, not a jump. */
#define CALLED __asm__ volatile("" ::: "memory")

static void go_pushed(struct place *from, struct place *to)
{
    switch_pushed(from, to);
    CALLED;
}

static void go_buffer(struct place *from, struct place *to)
{
    switch_buffer(from, to);
    CALLED;
}

static void go_swap(struct place *from, struct place *to)
{
    switch_swap(to, from);
    CALLED;
}

GLOBAL void (*switch_swap_bytes)(struct place *to, struct place *from);

static void make_swap_bytes(struct place *place, uintptr_t *top)
{
    REQUIRE(mprotect(swap_code, sizeof swap_code, PROT_READ | PROT_EXEC) == 0);
    switch_swap_bytes = (void (*)(struct place *, struct place *))(uintptr_t)swap_code;
    make_swap(place, top);
}

static void go_swap_bytes(struct place *from, struct place *to)
{
    switch_swap_bytes(to, from);
    CALLED;
}

static void go_swap_popped(struct place *from, struct place *to)
{
    switch_swap_popped(to, from);
    CALLED;
}

NOINLINE static void make_threads(struct place *place, uintptr_t *top)
{
    if (registers_save(place) != 0)
        begin();
    memset(top - 32, 0, 32 * sizeof *top);
    place->words[6] = top - 32;
}

static void go_threads(struct place *from, struct place *to)
{
    if (registers_save(from) == 0)
        registers_restore(to);
}

GLOBAL struct place *left; /* whoever jumped last; whoever comes up next learns where to */

NOINLINE static void begin_frame(void *left_at)
{
    left->words[0] = left_at;
    begin();
}

static void make_frame(struct place *place, uintptr_t *frame, size_t return_at)
{
    memset(frame, 0, return_at + 2 * sizeof *frame);
    frame[0] = 0x37full << 32 | 0x1f80; /* x87 control word, mxcsr */
    frame[return_at / sizeof *frame] = (uintptr_t)begin_frame;
    place->words[0] = frame;
}

static void make_frame_38(struct place *place, uintptr_t *top)
{
    make_frame(place, top - 9, 0x38);
}

static void make_frame_40(struct place *place, uintptr_t *top)
{
    uintptr_t *frame = top - 10;
    make_frame(place, frame, 0x40);
    __asm__("mov %%fs:0x28, %0" : "=r"(frame[1]));
}

static void go_frame_38(struct place *from, struct place *to)
{
    left = from;
    void *left_at = jump_38(to->words[0]);
    left->words[0] = left_at;
}

static void go_frame_40(struct place *from, struct place *to)
{
    left = from;
    void *left_at = jump_40(to->words[0]);
    left->words[0] = left_at;
}

static const struct flavour flavours[] = {
    {"pushed", make_pushed, go_pushed},
    {"buffer", make_buffer, go_buffer},
    {"swap", make_swap, go_swap},
    {"swap-bytes", make_swap_bytes, go_swap_bytes},
    {"swap-popped", make_buffer, go_swap_popped},
    {"threads", make_threads, go_threads},
    {"frame-38", make_frame_38, go_frame_38},
    {"frame-40", make_frame_40, go_frame_40},
};

/* The flavour that the program's arguments name. */
HELPER const struct flavour *flavour_said(char **argv)
{
    for (size_t i = 0; i < sizeof flavours / sizeof flavours[0]; i++)
        if (said(argv, flavours[i].name))
            return &flavours[i];
    REQUIRE(!"a flavour is named");
    return NULL;
}

#endif
