/*
 * What sanitizers are told of switched stacks, told to us: see coro/annotated.c.
 *
 * Where a real sanitizer runtime is loaded behind us, its functions do all the work.
 */
#include "coro/annotated.h"
#include "shim/start.h"
#include "shim/state.h"

#include <dlfcn.h>
#include <string.h>

void crn_note_start_switch(void **place, const void *bottom,
                           struct crn_saved_registers *registers, size_t bytes)
    __attribute__((visibility("hidden")));
void crn_note_fiber_switch(void *fiber, unsigned flags, struct crn_saved_registers *registers)
    __attribute__((visibility("hidden")));

static __thread struct crn_annotated_switch announced;
static __thread struct crn_fiber *current_fiber;

/* The real runtime's functions; NULL where there is none. */
static struct {
    void (*start_switch)(void **, const void *, size_t);
    void (*finish_switch)(void *, const void **, size_t *);
    void *(*current_fiber)(void);
    void *(*create_fiber)(unsigned);
    void (*destroy_fiber)(void *);
    void (*switch_to_fiber)(void *, unsigned);
    void (*set_fiber_name)(void *, const char *);
} real;

/* Not at the first call, which may be on a small stack, and leave there what dlsym left. */
void crn_annotations_start(void)
{
    real.start_switch = (void (*)(void **, const void *, size_t))dlsym(
        RTLD_NEXT, "__sanitizer_start_switch_fiber");
    real.finish_switch = (void (*)(void *, const void **, size_t *))dlsym(
        RTLD_NEXT, "__sanitizer_finish_switch_fiber");
    real.current_fiber = (void *(*)(void))dlsym(RTLD_NEXT, "__tsan_get_current_fiber");
    real.create_fiber = (void *(*)(unsigned))dlsym(RTLD_NEXT, "__tsan_create_fiber");
    real.destroy_fiber = (void (*)(void *))dlsym(RTLD_NEXT, "__tsan_destroy_fiber");
    real.switch_to_fiber = (void (*)(void *, unsigned))dlsym(RTLD_NEXT, "__tsan_switch_to_fiber");
    real.set_fiber_name =
        (void (*)(void *, const char *))dlsym(RTLD_NEXT, "__tsan_set_fiber_name");
}

/* The calling thread, when there is something to note. */
static struct crn_thread *watched_thread(void)
{
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_ON ? crn_shim_thread() : NULL;
    return self == NULL || self->is_busy || !crn_coros.is_ready ? NULL : self;
}

struct note {
    struct crn_thread *self;
    const struct crn_saved_registers *registers;
    uintptr_t start, sp;
    size_t bytes;
    bool has_place;
    uint32_t node;
    struct crn_fiber *fiber;
};

static void note_do(struct note *note, void (*function)(void *), uintptr_t sp)
{
    crn_busy_begin(note->self);
    if (crn_thread_has_room(note->self, sp))
        function(note);
    else
        crn_shim_on_scratch(note->self, function, note);
    crn_busy_end(note->self);
}

static uint32_t caller_capture(struct crn_thread *self, const struct crn_saved_registers *registers)
{
    if (!crn_shim.takes_stacks || !crn_thread_has_room(self, registers->rsp))
        return 0;
    crn_busy_begin(self);
    uint32_t node = crn_stack_capture(&crn_tree, &self->capture.walker, self->capture.memo, registers->pc,
                                      registers->rsp, registers->rbp);
    crn_busy_end(self);
    return node;
}

static void start_do(void *argument)
{
    const struct note *note = argument;
    crn_annotated_start(note->self, note->start, note->bytes, note->has_place, note->registers,
                        note->node, &announced);
}

/* Called by __sanitizer_start_switch_fiber in entry_x86_64.S. */
void crn_note_start_switch(void **place, const void *bottom,
                           struct crn_saved_registers *registers, size_t bytes)
{
    if (real.start_switch != NULL) {
        real.start_switch(place, bottom, bytes);
        return;
    }
    if (place != NULL)
        *place = NULL; /* no fake stack */
    struct crn_thread *self = watched_thread();
    if (self == NULL)
        return;
    struct note note = {.self = self,
                        .registers = registers,
                        .start = (uintptr_t)bottom,
                        .bytes = bytes,
                        .has_place = place != NULL,
                        .node = caller_capture(self, registers)};
    note_do(&note, start_do, registers->rsp);
    memset(registers, 0, sizeof *registers); /* or it looks like what a switch saved there */
}

static void finish_do(void *argument)
{
    const struct note *note = argument;
    crn_annotated_finish(note->self, note->sp, &announced);
}

void __sanitizer_finish_switch_fiber(void *place, const void **bottom, size_t *bytes);
CRN_EXPORT CRN_REALIGNED void __sanitizer_finish_switch_fiber(void *place, const void **bottom,
                                                              size_t *bytes)
{
    if (real.finish_switch != NULL) {
        real.finish_switch(place, bottom, bytes);
        return;
    }
    struct crn_thread *self = watched_thread();
    if (bottom != NULL)
        *bottom = (const void *)announced.left.start;
    if (bytes != NULL)
        *bytes = announced.left.end - announced.left.start;
    if (self == NULL)
        return;
    struct note note = {.self = self, .sp = (uintptr_t)__builtin_frame_address(0)};
    note_do(&note, finish_do, note.sp);
}

static void *current_get(struct crn_thread *self)
{
    if (current_fiber == NULL && self != NULL)
        current_fiber = crn_fiber_create(self, true);
    return current_fiber;
}

void *__tsan_get_current_fiber(void);
CRN_EXPORT CRN_REALIGNED void *__tsan_get_current_fiber(void)
{
    return real.current_fiber != NULL ? real.current_fiber() : current_get(watched_thread());
}

void *__tsan_create_fiber(unsigned flags);
CRN_EXPORT CRN_REALIGNED void *__tsan_create_fiber(unsigned flags)
{
    if (real.create_fiber != NULL)
        return real.create_fiber(flags);
    struct crn_thread *self = watched_thread();
    return self != NULL ? crn_fiber_create(self, false) : NULL;
}

void __tsan_destroy_fiber(void *fiber);
CRN_EXPORT CRN_REALIGNED void __tsan_destroy_fiber(void *fiber)
{
    struct crn_thread *self = real.destroy_fiber != NULL ? NULL : watched_thread();
    if (real.destroy_fiber != NULL)
        real.destroy_fiber(fiber);
    else if (self != NULL && fiber != NULL)
        crn_fiber_destroy(self, fiber);
}

static void fiber_switch_do(void *argument)
{
    const struct note *note = argument;
    crn_fiber_switch(note->self, current_get(note->self), note->fiber, note->registers);
    current_fiber = note->fiber;
}

/* Called by __tsan_switch_to_fiber in entry_x86_64.S. */
void crn_note_fiber_switch(void *fiber, unsigned flags, struct crn_saved_registers *registers)
{
    struct crn_thread *self = real.switch_to_fiber != NULL ? NULL : watched_thread();
    if (real.switch_to_fiber != NULL)
        real.switch_to_fiber(fiber, flags);
    if (self == NULL || fiber == NULL)
        return;
    struct note note = {.self = self, .registers = registers, .fiber = fiber};
    note_do(&note, fiber_switch_do, registers->rsp);
    memset(registers, 0, sizeof *registers);
}

/* Names are not shown. */
void __tsan_set_fiber_name(void *fiber, const char *name);
CRN_EXPORT CRN_REALIGNED void __tsan_set_fiber_name(void *fiber, const char *name)
{
    if (real.set_fiber_name != NULL)
        real.set_fiber_name(fiber, name);
}
