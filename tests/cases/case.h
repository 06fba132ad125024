#ifndef CASE_H
#define CASE_H
/*
 * What the cases share.
 *
 * A case must not owe its truth to an accident: an address that happens to stay in a register, or
 * in stack that a popped frame left behind, would hold a block that the story calls unheld.  So a
 * case lets go of things in functions that return, and calls wipe() before the program ends.  The
 * opposite accident (a value that should lie on a dead stack and was optimised away or written
 * over) is kept out by LEFTOVER and GLOBAL.
 *
 * Where CASE_UNWIPED is in the environment nothing is wiped: accidents may then hide a leak, and
 * must not do more.
 */
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if defined(__GNUC__) && !defined(__clang__)
#define NOINLINE __attribute__((noinline, noclone, noipa))
#else
#define NOINLINE __attribute__((noinline))
#endif
#define HELPER __attribute__((noinline, unused)) static
#define GLOBAL __attribute__((used)) static /* kept, and its stores too, also when never read */

enum { STACK_BYTES = 65536 };

/*
 * Declares `name`, a local that stays on the stack after its function has returned.  It is the
 * deepest word of a 4 KiB array, so whatever runs on the same stack next does not reach it.
 */
#define LEFTOVER(type, name)                          \
    type volatile name##_area[4096 / sizeof(void *)]; \
    type volatile *const name = &name##_area[1]

/* Fails the case with one line that names the broken promise. */
#define REQUIRE(condition)                                                          \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            fflush(NULL);                                                           \
            _Exit(99);                                                              \
        }                                                                           \
    } while (0)

/* Fills a block in a way that compilers cannot see through, so that they keep its allocation. */
__attribute__((always_inline)) static inline void fill(void *block, size_t bytes)
{
    __asm__ volatile("" : : "r"(memset(block, 'x', bytes)) : "memory");
}

HELPER bool is_unwiped(void)
{
    return getenv("CASE_UNWIPED") != NULL;
}

HELPER void wipe_area(void)
{
    char area[1 << 16];
    memset(area, 0, sizeof area);
    __asm__ volatile("" : : "r"(area) : "memory");
}

/*
 * Overwrites the dead stack below the caller.  Call it on a thread's stack, not on a coroutine's.
 * What it calls on the way (lazy binding saves all registers) comes before, and is wiped as well.
 */
HELPER void wipe_stack(void)
{
    if (!is_unwiped())
        wipe_area();
}

/*
 * Clears every register that the calling function does not need any more.  It is inlined, so the
 * callee-saved ones are cleared too; the caller's epilogue restores what its own caller had.
 */
__attribute__((always_inline)) static inline void wipe_registers(void)
{
    if (is_unwiped())
        return;
    if (__builtin_cpu_supports("avx512f"))
        __asm__ volatile("vpxorq %zmm16, %zmm16, %zmm16\n vmovdqa64 %zmm16, %zmm17\n"
                         "vmovdqa64 %zmm16, %zmm18\n vmovdqa64 %zmm16, %zmm19\n"
                         "vmovdqa64 %zmm16, %zmm20\n vmovdqa64 %zmm16, %zmm21\n"
                         "vmovdqa64 %zmm16, %zmm22\n vmovdqa64 %zmm16, %zmm23\n"
                         "vmovdqa64 %zmm16, %zmm24\n vmovdqa64 %zmm16, %zmm25\n"
                         "vmovdqa64 %zmm16, %zmm26\n vmovdqa64 %zmm16, %zmm27\n"
                         "vmovdqa64 %zmm16, %zmm28\n vmovdqa64 %zmm16, %zmm29\n"
                         "vmovdqa64 %zmm16, %zmm30\n vmovdqa64 %zmm16, %zmm31");
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroall" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
                               "xmm15");
    __asm__ volatile("xor %%eax, %%eax\n xor %%ebx, %%ebx\n xor %%ecx, %%ecx\n xor %%edx, %%edx\n"
                     "xor %%esi, %%esi\n xor %%edi, %%edi\n xor %%r8d, %%r8d\n xor %%r9d, %%r9d\n"
                     "xor %%r10d, %%r10d\n xor %%r11d, %%r11d\n xor %%r12d, %%r12d\n"
                     "xor %%r13d, %%r13d\n xor %%r14d, %%r14d\n xor %%r15d, %%r15d" ::
                         : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
                           "r12", "r13", "r14", "r15", "cc", "memory");
}

#define wipe() (wipe_stack(), wipe_registers())

/* An address in a form that holds nothing alive, and back. */
HELPER uintptr_t hide(const void *address)
{
    return ~(uintptr_t)address;
}

HELPER void *unhide(uintptr_t hidden)
{
    return (void *)~hidden;
}

/* Whether the program was started with `word` among its arguments. */
HELPER bool said(char **argv, const char *word)
{
    while (*++argv != NULL)
        if (strcmp(*argv, word) == 0)
            return true;
    return false;
}

HELPER void *heap_stack(size_t bytes)
{
    void *stack = malloc(bytes);
    REQUIRE(stack != NULL);
    return stack;
}

HELPER void *mapped_stack(size_t bytes)
{
    void *stack = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(stack != MAP_FAILED);
    return stack;
}

/* Makes `context` ready to run entry(argument) on `stack`, and then to go on at `link`. */
HELPER void coroutine_make(ucontext_t *context, void *stack, size_t stack_bytes, ucontext_t *link,
                           void (*entry)(void *), void *argument)
{
    REQUIRE(getcontext(context) == 0);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = stack_bytes;
    context->uc_link = link;
    makecontext(context, (void (*)(void))entry, 1, argument);
}

#endif
