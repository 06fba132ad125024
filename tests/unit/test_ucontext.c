/*
 * What the ucontext recogniser tells a check of one coroutine, from a context in memory.
 */
#include <criterion/criterion.h>

#include <string.h>
#include <ucontext.h>

#include "coro/announced.h"

static char stack[64 * 1024];
static ucontext_t context;
static struct crn_coro coro;
static struct crn_coro_body body;
static const struct crn_announced_kind *const kind = &crn_announced_ucontext;

/* The record of a coroutine whose registers are in `context` now. */
static void note(enum crn_coro_state state)
{
    memset(&coro, 0, sizeof coro);
    coro.mechanism = CRN_MECHANISM_UCONTEXT;
    coro.state = (uint8_t)state;
    coro.stack_start = (uintptr_t)stack;
    coro.stack_end = (uintptr_t)stack + sizeof stack;
    coro.saved.context = (uintptr_t)&context;
    coro.saved.sp = (uintptr_t)context.uc_mcontext.gregs[REG_RSP];
    coro.saved.pc = (uintptr_t)context.uc_mcontext.gregs[REG_RIP];
    for (unsigned i = 0; i < 6; i++)
        coro.saved.registers[i] = 0x1000 + i;
}

static void setup(void)
{
    getcontext(&context);
    context.uc_stack.ss_sp = stack;
    context.uc_stack.ss_size = sizeof stack;
}

TestSuite(ucontext, .init = setup);

static bool has_word(uintptr_t word)
{
    for (unsigned i = 0; i < body.word_count; i++)
        if (body.words[i] == word)
            return true;
    return false;
}

static void entry(void)
{
}

Test(ucontext, the_halves_of_a_pointer_given_to_makecontext_are_joined)
{
    uintptr_t pointer = 0x7f1234567890;
    unsigned low = (unsigned)pointer, high = (unsigned)(pointer >> 32);
    makecontext(&context, entry, 2, low, high);
    note(CRN_CORO_CREATED);
    kind->body_get(&coro, &body);
    cr_assert(has_word(pointer));
    makecontext(&context, entry, 4, 1, 2, high, low);
    note(CRN_CORO_CREATED);
    kind->body_get(&coro, &body);
    cr_assert(has_word(pointer) && has_word(1) && has_word(2));
}

Test(ucontext, a_whole_pointer_given_to_makecontext_is_a_word_of_the_body)
{
    void (*whole)(void) = entry;
    makecontext(&context, whole, 6, 0, 0, 0, 0, 0, &coro);
    note(CRN_CORO_CREATED);
    kind->body_get(&coro, &body);
    cr_assert(has_word((uintptr_t)&coro) && body.word_count <= CRN_COUNT_OF(body.words));
    cr_assert(body.is_exact && body.start == coro.saved.sp && body.end == coro.stack_end);
}

Test(ucontext, seven_arguments_are_pushed_and_lie_in_the_body)
{
    makecontext(&context, entry, 7, 0, 0, 0, 0, 0, 0, &coro);
    note(CRN_CORO_CREATED);
    kind->body_get(&coro, &body);
    bool is_there = false;
    for (uintptr_t at = body.start; at + 8 <= body.end; at += 8)
        is_there = is_there || *(uintptr_t *)at == (uintptr_t)&coro;
    cr_assert(is_there);
}

Test(ucontext, a_created_coroutine_whose_context_was_overwritten_has_no_words)
{
    makecontext(&context, entry, 1, &coro);
    note(CRN_CORO_CREATED);
    memset(&context, 0, sizeof context);
    kind->body_get(&coro, &body);
    cr_assert_eq(body.word_count, 0);
}

Test(ucontext, a_suspended_one_has_its_callee_saved_registers)
{
    makecontext(&context, entry, 1, &coro);
    note(CRN_CORO_SUSPENDED);
    kind->body_get(&coro, &body);
    cr_assert_eq(body.word_count, 6);
    cr_assert(has_word(0x1000) && has_word(0x1005) && !has_word((uintptr_t)&coro));
}

Test(ucontext, without_a_saved_sp_the_whole_stack_is_the_body)
{
    note(CRN_CORO_SUSPENDED);
    coro.saved.sp = 0;
    kind->body_get(&coro, &body);
    cr_assert(!body.is_exact && body.start == coro.stack_start && body.end == coro.stack_end);
}

Test(ucontext, the_context_of_one_that_waits_is_its_handle_and_of_another_it_is_stale)
{
    struct crn_coro_context contexts[4];
    makecontext(&context, entry, 0);
    for (int state = CRN_CORO_CREATED; state <= CRN_CORO_COMPLETED; state++) {
        note(state);
        cr_assert_eq(kind->contexts_get(&coro, contexts), 1);
        cr_assert_eq(contexts[0].is_handle,
                     state == CRN_CORO_CREATED || state == CRN_CORO_SUSPENDED);
        cr_assert(contexts[0].start > (uintptr_t)&context &&
                  contexts[0].end == (uintptr_t)(&context + 1));
        /* What the program put beside the registers is read: the stack's memory, the link. */
        cr_assert(contexts[0].start > (uintptr_t)&context.uc_stack);
    }
}

Test(ucontext, a_context_that_was_used_for_something_else_is_ordinary_memory)
{
    struct crn_coro_context contexts[4];
    makecontext(&context, entry, 0);
    note(CRN_CORO_SUSPENDED);
    context.uc_mcontext.gregs[REG_RSP] += 8;
    cr_assert_eq(kind->contexts_get(&coro, contexts), 0);
    coro.saved.context = 16; /* not even mapped any more */
    cr_assert_eq(kind->contexts_get(&coro, contexts), 0);
}

Test(ucontext, the_area_of_whoever_resumed_a_running_one_is_stale_too)
{
    struct crn_coro_context contexts[4];
    ucontext_t resumer;
    getcontext(&resumer);
    makecontext(&context, entry, 0);
    note(CRN_CORO_RUNNING);
    coro.resumer.context = (uintptr_t)&resumer;
    coro.resumer.sp = (uintptr_t)resumer.uc_mcontext.gregs[REG_RSP];
    coro.resumer.pc = (uintptr_t)resumer.uc_mcontext.gregs[REG_RIP];
    cr_assert_eq(kind->contexts_get(&coro, contexts), 2);
    cr_assert(!contexts[1].is_handle && contexts[1].end == (uintptr_t)(&resumer + 1));
}
