/*
 * A coroutine keeps its bitmap in a local while it waits, and will not read it again when it is
 * resumed: the bitmap is stale, though the coroutine is live.  In the twin it draws the bitmap again.
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext
 * EXPECT: stale  blocks=1 bytes=4096 allocated_in=make_bitmap coroutine=begin mechanism=ucontext
 * EXPECT: exit   status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE ucontext twin
 * EXPECT: none
 * EXPECT: exit   status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE own
 * EXPECT: stale  blocks=1 bytes=4096 allocated_in=make_bitmap mechanism=switch
 * EXPECT: exit   status=0|23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE own twin
 * EXPECT: none
 * EXPECT: exit   status=0
 *
 * RUN:    coroner run --stale=no --format=json --output=report.json $CASE ucontext
 * EXPECT: none
 * EXPECT: exit   status=0
 *
 * RUN:    coroner run --stale=no --format=json --output=report.json $CASE own
 * EXPECT: none
 * EXPECT: exit   status=0
 */
#include "case.h"

GLOBAL ucontext_t home, away;
GLOBAL void *home_sp, *away_sp;
GLOBAL bool is_own, is_twin;
GLOBAL volatile unsigned drawn;

/* Pushes what a callee keeps, leaves sp in *from, and goes on at `to`. */
void stacks_switch(void **from, void *to);
__asm__(".pushsection .text\n"
        ".globl stacks_switch\n"
        ".type stacks_switch, @function\n"
        "stacks_switch:\n"
        "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
        "  ret\n"
        ".size stacks_switch, . - stacks_switch\n"
        ".popsection\n");

NOINLINE static char *make_bitmap(void)
{
    char *bitmap = malloc(4096);
    fill(bitmap, 4096);
    return bitmap;
}

NOINLINE static void draw(const char *bitmap)
{
    drawn += (unsigned char)bitmap[drawn % 4096];
}

NOINLINE static void wait_for_frame(void)
{
    if (is_own)
        stacks_switch(&away_sp, home_sp);
    else
        swapcontext(&away, &home);
    drawn++; /* so that this is a call, and no jump */
}

NOINLINE static void show(void)
{
    char *volatile bitmap = make_bitmap();
    draw(bitmap);
    wipe_registers(); /* clang pads a frame by pushing one, and pops it again */
    wait_for_frame();
    wait_for_frame();
}

NOINLINE static void show_again(void)
{
    char *volatile bitmap = make_bitmap();
    draw(bitmap);
    wait_for_frame();
    draw(bitmap);
    free(bitmap);
    wait_for_frame();
}

static void begin(void *unused)
{
    (void)unused;
    if (is_twin)
        show_again();
    else
        show();
    for (;;)
        wait_for_frame();
}

static void own_begin(void)
{
    begin(NULL);
}

NOINLINE static void run(void)
{
    char *stack = mapped_stack(STACK_BYTES);
    if (!is_own) {
        coroutine_make(&away, stack, STACK_BYTES, &home, begin, NULL);
        swapcontext(&home, &away);
        return;
    }
    void **top = (void **)(stack + STACK_BYTES) - 2;
    *top = NULL;
    *--top = (void *)(uintptr_t)own_begin;
    away_sp = top - 6;
    stacks_switch(&home_sp, away_sp);
}

int main(int argc, char **argv)
{
    (void)argc;
    is_own = said(argv, "own");
    is_twin = said(argv, "twin");
    run();
    wipe();
    return 0;
}
