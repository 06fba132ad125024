/*
 * A program that announces its switches to sanitizers, of which none is there.  Its switch hides
 * the stack pointer, so nothing but the announcements tells which stacks there are, and who is
 * suspended: a fiber that is held is live, a dropped one abandoned.  One that was said to leave
 * for good is completed, and what it left on a pooled stack is no longer held; when its stack is
 * used again it is another fiber's.  All of that is only likely.  (What the first fiber of a stack
 * that is used again had is wiped, hence lost.)
 *
 * RUN:    coroner run --format=json --output=report.json $CASE asan
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE asan dropped
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request mechanism=annotated \
 *                    confidence=likely suspended_in=switch_to
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack confidence=likely
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json --strict $CASE asan mapped dropped
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request mechanism=annotated \
 *                    confidence=likely
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new confidence=likely
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE asan ended
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request mechanism=annotated \
 *                    confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE asan reused
 * EXPECT: lost       blocks=1 bytes=4096 allocated_in=make_request
 * EXPECT: summary    coroutines.seen=2 coroutines.suspended=1 coroutines.destroyed=1
 * EXPECT: exit       status=23
 *
 * RUN:    coroner run --format=json --output=report.json $CASE asan no-places ended
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE tsan
 * EXPECT: none
 * EXPECT: summary    coroutines.seen=1 coroutines.suspended=1
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE tsan dropped
 * EXPECT: abandoned  blocks=1 bytes=4096 allocated_in=make_request mechanism=annotated \
 *                    confidence=likely
 * EXPECT: abandoned  blocks=1 bytes=262144 allocated_in=heap_stack confidence=likely
 * EXPECT: abandoned  blocks=1 allocated_in=fiber_new confidence=likely
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE tsan dropped named
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE tsan ended
 * EXPECT: completed  blocks=1 bytes=4096 allocated_in=make_request mechanism=annotated \
 *                    confidence=likely
 * EXPECT: exit       status=0
 */
#include "case.h"

void __sanitizer_start_switch_fiber(void **, const void *, size_t) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void *, const void **, size_t *) __attribute__((weak));
void *__tsan_get_current_fiber(void) __attribute__((weak));
void *__tsan_create_fiber(unsigned) __attribute__((weak));
void __tsan_destroy_fiber(void *) __attribute__((weak));
void __tsan_switch_to_fiber(void *, unsigned) __attribute__((weak));
void __tsan_set_fiber_name(void *, const char *) __attribute__((weak));

enum { BYTES = 1 << 18 }; /* room for wipe_stack */

struct side {
    uintptr_t hidden_sp;
    void *tsan;
    const void *bottom;
    size_t bytes;
};

struct fiber {
    struct side self;
    bool ends;
};

GLOBAL char **arguments;
GLOBAL struct side scheduler;
GLOBAL struct fiber *current, *held;
GLOBAL void *pool, *name;

NOINLINE static char *make_request(void)
{
    char *request = malloc(4096);
    fill(request, 4096);
    return request;
}

/* Leaves `from` for `to`, the stack pointers hidden: no recogniser knows this switch. */
#define JUMP(from, to)                                                                           \
    __asm__ volatile("push %%rbp\n push %%rbx\n lea 1f(%%rip), %%rax\n push %%rax\n"             \
                     "mov %%rsp, %%rax\n not %%rax\n mov %%rax, (%0)\n"                          \
                     "mov (%1), %%rax\n not %%rax\n mov %%rax, %%rsp\n pop %%rax\n jmp *%%rax\n" \
                     "1: pop %%rbx\n pop %%rbp"                                                  \
                     : "+D"(from), "+S"(to)                                                      \
                     :                                                                           \
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",       \
                       "r15", "cc", "memory")

__attribute__((always_inline)) static inline void switch_to(struct side *from, struct side *to,
                                                            bool for_good)
{
    void *place = NULL;
    if (said(arguments, "asan"))
        __sanitizer_start_switch_fiber(for_good || said(arguments, "no-places") ? NULL : &place,
                                       to->bottom, to->bytes);
    else
        __tsan_switch_to_fiber(to->tsan, 0);
    JUMP(from, to);
    if (said(arguments, "asan"))
        __sanitizer_finish_switch_fiber(place, NULL, NULL);
}

NOINLINE static void wait_for_reply(struct fiber *volatile self)
{
    LEFTOVER(char *, request);
    *request = make_request();
    wipe_stack();
    switch_to(&self->self, &scheduler, self->ends);
    __asm__ volatile("" : : "r"(request), "r"(self) : "memory");
}

static void fiber_main(void)
{
    if (said(arguments, "asan"))
        __sanitizer_finish_switch_fiber(NULL, &scheduler.bottom, &scheduler.bytes);
    wait_for_reply(current);
    abort();
}

NOINLINE static struct fiber *fiber_new(void *stack)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    uintptr_t *top = (uintptr_t *)((char *)stack + BYTES);
    top[-2] = (uintptr_t)fiber_main;
    fiber->self = (struct side){~(uintptr_t)(top - 2), NULL, stack, BYTES};
    if (!said(arguments, "asan")) {
        fiber->self.tsan = __tsan_create_fiber(0);
        __tsan_set_fiber_name(fiber->self.tsan, "waits");
    }
    return fiber;
}

NOINLINE static void run(void *stack, bool ends)
{
    struct fiber *fiber = fiber_new(stack);
    fiber->ends = ends;
    current = fiber;
    if (!said(arguments, "asan"))
        scheduler.tsan = __tsan_get_current_fiber();
    switch_to(&scheduler, &fiber->self, false);
    if (ends) {
        if (!said(arguments, "asan"))
            __tsan_destroy_fiber(fiber->self.tsan);
        pool = stack;
        free(fiber);
    } else if (!said(arguments, "dropped")) {
        held = fiber;
    } else if (said(arguments, "named")) {
        name = fiber->self.tsan;
    }
    current = NULL;
}

int main(int argc, char **argv)
{
    (void)argc;
    arguments = argv;
    bool is_mapped = said(argv, "mapped");
    REQUIRE(__sanitizer_start_switch_fiber != NULL && __tsan_switch_to_fiber != NULL);
    if (said(argv, "reused")) {
        run(heap_stack(BYTES), true);
        memset(pool, 0, BYTES);
        run(pool, false);
    } else {
        run(is_mapped ? mapped_stack(BYTES) : heap_stack(BYTES), said(argv, "ended"));
    }
    wipe();
    return 0;
}
