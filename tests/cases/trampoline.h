#ifndef TRAMPOLINE_H
#define TRAMPOLINE_H
/*
 * A library's fibers, each of which makes a note in its entry, waits once, and returns without the
 * note.  The case defines begin(), the trampoline: the outermost frame of each fiber.
 */
#include "switches.h"

enum { FIBERS = 4, FIBER_STACK = 32 * 1024, NOTE_BYTES = 3000 };

struct fiber {
    struct place place;
    struct fiber *next;
    void (*entry)(struct fiber *self);
    bool has_ended;
};

GLOBAL struct fiber *list, *current;
GLOBAL struct place scheduler;
GLOBAL const struct flavour *flavour;

NOINLINE static char *make_note(void)
{
    char *note = malloc(NOTE_BYTES);
    fill(note, NOTE_BYTES);
    return note;
}

NOINLINE static void switch_back(struct fiber *self)
{
    flavour->go(&self->place, &scheduler);
    CALLED;
}

NOINLINE static void serve(struct fiber *self)
{
    LEFTOVER(char *, note);
    *note = make_note();
    switch_back(self);
    (*note)[0] = 'u';
    wipe_registers(); /* clang pads a frame by pushing one */
}

NOINLINE static void start(char **argv)
{
    struct fiber *fiber = calloc(1, sizeof *fiber);
    char *stack = said(argv, "mapped") ? mapped_stack(FIBER_STACK) : heap_stack(FIBER_STACK);
    REQUIRE(fiber != NULL);
    fiber->entry = serve;
    flavour->make(&fiber->place, (uintptr_t *)(stack + FIBER_STACK));
    current = fiber;
    flavour->go(&scheduler, &fiber->place);
    if (said(argv, "pooled")) {
        flavour->go(&scheduler, &fiber->place);
        REQUIRE(fiber->has_ended);
    }
    if (!said(argv, "dropped")) {
        fiber->next = list;
        list = fiber;
    }
}

int main(int argc, char **argv)
{
    (void)argc;
    flavour = flavour_said(argv);
    for (int i = 0; i < FIBERS; i++)
        start(argv);
    memset(&scheduler, 0, sizeof scheduler);
    current = NULL;
    wipe();
    return 0;
}

#endif
