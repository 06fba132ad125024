/*
 * Data around stacks that nobody announces, each with the only pointer to a block.  All of it is
 * live:
 *
 *     pool         between the stacks of one mapping, below them and above them
 *     floor        at the low end of a mapping, right above memory that cannot be touched
 *     adjacent     in a mapping that the kernel joined with that of a stack
 *     static       beside a stack in an array of the program's
 *     copied       in a copy of a stack, kept in a block that has more to say
 *     slices       in such copies, of a stack that has been used again (greenlet)
 *     moved        in memory that was a stack, and was moved by mremap
 *     thread       on a stack that another thread runs on
 *     handler      in frames deeper than a jmp_buf that is kept in a block, for errors
 *     trap         the same, where the switch is one that nobody can recognise
 *     inlined      above the sp of such a switch
 *     guarded      on stacks that nobody allocates on, in one block, with guard pages between them
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed pool
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed floor
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed adjacent
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed static
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed copied
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed slices
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed moved
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed thread
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed guarded
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed handler
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed trap
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE pushed inlined
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 pool
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 floor
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 adjacent
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 static
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 copied
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 slices
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 moved
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 thread
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 guarded
 * EXPECT: none
 * EXPECT: exit       status=0
 *
 * RUN:    coroner run --format=json --output=report.json $CASE frame-38 handler
 * EXPECT: none
 * EXPECT: exit       status=0
 */
#include "switches.h"

#include <pthread.h>
#include <setjmp.h>

enum { BYTES = 1 << 18, PAGE = 4096 };

struct fiber {
    struct place place;
    jmp_buf on_error;
    bool has_handler, is_inlined;
    char *gift; /* in place of what it would allocate */
    struct place *back; /* where it switches to */
};

/* A fiber, what is copied of its stack, and more. */
struct kept {
    struct fiber fiber;
    char *item;
    size_t bytes;
    char *copy;
    char *another;
};

GLOBAL struct fiber *starting, *held[3];
GLOBAL struct place scheduler, thread_scheduler;
GLOBAL const struct flavour *flavour;
GLOBAL struct kept *kept[2];
GLOBAL char *memory;
GLOBAL char area[4 * PAGE + BYTES];
GLOBAL volatile bool is_running;

NOINLINE static char *make_item(void)
{
    char *item = malloc(300);
    fill(item, 300);
    return item;
}

/* A switch that is part of the function that makes it: no call tells of it. */
#define SWITCH_INLINE(from, to)                                                                   \
    __asm__ volatile("push %%rbp; push %%rbx; lea 1f(%%rip), %%rax; push %%rax\n"                 \
                     "mov %%rsp, (%0); mov (%1), %%rsp; pop %%rax; jmp *%%rax\n"                  \
                     "1: pop %%rbx; pop %%rbp"                                                    \
                     :                                                                            \
                     : "D"(from), "S"(to)                                                         \
                     : "rax", "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", \
                       "memory", "cc")

NOINLINE static void wait_deeper(struct fiber *self)
{
    char *volatile item = self->gift != NULL ? NULL : make_item();
    if (self->is_inlined)
        SWITCH_INLINE(self->place.words, self->back->words);
    else
        flavour->go(&self->place, self->back);
    while (is_running)
        pause();
    free(item);
}

static void begin(void)
{
    struct fiber *volatile self = starting;
    char *volatile item = self->gift != NULL ? self->gift : make_item();
    if (self->gift != NULL)
        self->gift = (char *)1;
    if (!self->has_handler || setjmp(self->on_error) == 0)
        wait_deeper(self);
    free(item);
    abort();
}

NOINLINE static struct fiber *fiber_new(void)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    REQUIRE(fiber != NULL);
    fiber->back = &scheduler;
    return fiber;
}

NOINLINE static void start(struct fiber *fiber, void *top)
{
    starting = fiber;
    if (fiber->is_inlined) {
        uintptr_t *words = (uintptr_t *)top - 2;
        words[0] = (uintptr_t)begin;
        words[1] = 0;
        fiber->place.words[0] = words;
        SWITCH_INLINE(scheduler.words, fiber->place.words);
    } else {
        flavour->make(&fiber->place, top);
        flavour->go(fiber->back, &fiber->place);
    }
}

NOINLINE static void hold_in(void *place)
{
    *(char **)place = make_item();
}

NOINLINE static void pool_make(void)
{
    char *low = mapped_stack(2 * BYTES + 3 * PAGE);
    for (int i = 0; i < 2; i++) {
        char *end = low + (i + 1) * (PAGE + BYTES);
        hold_in(end - BYTES - PAGE / 2);
        held[i] = fiber_new();
        start(held[i], end);
    }
    hold_in(low + 2 * (PAGE + BYTES));
}

/* The fiber, too, lies there. */
NOINLINE static void floor_make(void)
{
    char *guard = mapped_stack(PAGE + BYTES);
    REQUIRE(mprotect(guard, PAGE, PROT_NONE) == 0);
    hold_in(guard + PAGE + 64);
    held[0] = (struct fiber *)(guard + PAGE + 256);
    held[0]->back = &scheduler;
    start(held[0], guard + PAGE + BYTES);
}

NOINLINE static void adjacent_make(void)
{
    char *both = mapped_stack(2 * BYTES);
    REQUIRE(munmap(both, 2 * BYTES) == 0);
    for (int i = 0; i < 2; i++)
        REQUIRE(mmap(both + i * BYTES, BYTES, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
    hold_in(both + 128);
    hold_in(both + BYTES / 2);
    hold_in(both + BYTES - 128);
    held[0] = fiber_new();
    start(held[0], both + 2 * BYTES);
}

NOINLINE static void static_make(void)
{
    hold_in(area + 2 * PAGE - 64);
    held[0] = fiber_new();
    start(held[0], area + sizeof area - 2 * PAGE);
    hold_in(area + sizeof area - PAGE);
}

NOINLINE static void copy(struct kept *its, char *top)
{
    char *sp = its->fiber.place.words[flavour->make == make_buffer];
    its->bytes = (size_t)(top - sp);
    its->copy = malloc(its->bytes + 2 * sizeof(char *));
    memcpy(its->copy, sp, its->bytes);
    hold_in(its->copy + its->bytes + 8);
    its->another = its->copy;
}

NOINLINE static void slices_make(int count)
{
    char *stack = heap_stack(BYTES);
    for (int i = 0; i < count; i++) {
        kept[i] = calloc(1, sizeof *kept[i]);
        kept[i]->fiber.back = &scheduler;
        hold_in(&kept[i]->item);
        start(&kept[i]->fiber, stack + BYTES);
        copy(kept[i], stack + BYTES);
    }
    memory = stack;
}

NOINLINE static void moved_make(void)
{
    char *stack = mapped_stack(BYTES), *room = mapped_stack(BYTES);
    struct fiber *fiber = fiber_new();
    start(fiber, stack + BYTES);
    REQUIRE(mremap(stack, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, room) == room);
    hold_in(room + BYTES - 2048);
    memory = room;
    free(fiber);
}

static void *run(void *unused)
{
    struct fiber *fiber = held[1];
    (void)unused;
    fiber->back = &thread_scheduler;
    start(fiber, mapped_stack(BYTES) + BYTES);
    is_running = true;
    flavour->go(&thread_scheduler, &fiber->place);
    return NULL;
}

NOINLINE static void thread_make(void)
{
    pthread_t thread;
    held[1] = fiber_new();
    REQUIRE(pthread_create(&thread, NULL, run, NULL) == 0);
    while (!is_running)
        usleep(1000);
    usleep(20000);
    held[0] = fiber_new();
    start(held[0], (char *)mapped_stack(BYTES) + BYTES);
}

NOINLINE static void handler_make(bool is_inlined)
{
    for (int i = 0; i < 2; i++) {
        held[i] = fiber_new();
        held[i]->has_handler = true;
        held[i]->is_inlined = is_inlined;
        start(held[i], (char *)(i == 0 ? heap_stack(BYTES) : mapped_stack(BYTES)) + BYTES);
    }
    if (!is_inlined) { /* and one on which nothing is found, so that all is searched */
        held[2] = fiber_new();
        held[2]->is_inlined = true;
        start(held[2], (char *)heap_stack(BYTES) + BYTES);
    }
}

NOINLINE static void inlined_make(void)
{
    held[0] = fiber_new();
    held[0]->is_inlined = true;
    start(held[0], (char *)heap_stack(BYTES) + BYTES);
}

NOINLINE static void guarded_make(void)
{
    char *slab;
    REQUIRE(posix_memalign((void **)&slab, PAGE, 3 * (BYTES + PAGE)) == 0);
    for (int i = 0; i < 3; i++) {
        char *low = slab + i * (BYTES + PAGE);
        REQUIRE(mprotect(low, PAGE, PROT_NONE) == 0);
        held[i] = fiber_new();
        held[i]->gift = make_item();
        start(held[i], low + PAGE + BYTES);
    }
    memory = slab;
    kept[0] = calloc(1, sizeof *kept[0]); /* and one that allocates, so that such are looked for */
    kept[0]->fiber.back = &scheduler;
    start(&kept[0]->fiber, (char *)mapped_stack(BYTES) + BYTES);
}

int main(int argc, char **argv)
{
    (void)argc;
    flavour = flavour_said(argv);
    if (said(argv, "pool"))
        pool_make();
    else if (said(argv, "floor"))
        floor_make();
    else if (said(argv, "adjacent"))
        adjacent_make();
    else if (said(argv, "static"))
        static_make();
    else if (said(argv, "copied"))
        slices_make(1);
    else if (said(argv, "slices"))
        slices_make(2);
    else if (said(argv, "moved"))
        moved_make();
    else if (said(argv, "thread"))
        thread_make();
    else if (said(argv, "guarded"))
        guarded_make();
    else if (said(argv, "handler") || said(argv, "trap"))
        handler_make(said(argv, "trap"));
    else
        inlined_make();
    wipe();
    return 0;
}
