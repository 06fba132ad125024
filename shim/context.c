/*
 * ucontext's functions: tells the recogniser of each call.  The tail jumps are in entry_x86_64.S.
 */
#include "shim/decoder.h"
#include "shim/calm.h"
#include "shim/enter.h"
#include "coro/ucontext.h"
#include "shim/malloc.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

extern int (*crn_real_swapcontext)(ucontext_t *, const ucontext_t *) __attribute__((visibility("hidden")));
extern int (*crn_real_setcontext)(const ucontext_t *) __attribute__((visibility("hidden")));
extern void *crn_start_context __attribute__((visibility("hidden")));
int (*crn_real_swapcontext)(ucontext_t *, const ucontext_t *);
int (*crn_real_setcontext)(const ucontext_t *);
void *crn_start_context; /* glibc's __start_context, as found in the first context made */

void crn_ucontext_end(void);
void crn_note_swapcontext(ucontext_t *, const ucontext_t *, const struct crn_saved_registers *)
    __attribute__((visibility("hidden")));
void crn_note_setcontext(const ucontext_t *, void *, const struct crn_saved_registers *)
    __attribute__((visibility("hidden")));
void crn_note_ucontext_end(const ucontext_t *, uintptr_t) __attribute__((visibility("hidden")));

struct switch_note {
    const ucontext_t *from, *to;
    const struct crn_saved_registers *registers;
};

static void switch_note_do(void *argument)
{
    const struct switch_note *note = argument;
    crn_ucontext_note_switch(crn_self, note->from, note->to, note->registers);
}

static void note_switch(struct switch_note note)
{
    struct crn_calm calm = crn_calm_begin();
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy && crn_coros.is_ready) {
        crn_busy_begin(self);
        if (crn_thread_has_room(self, note.registers->rsp))
            switch_note_do(&note);
        else
            crn_shim_on_scratch(self, switch_note_do, &note);
        crn_busy_end(self);
    }
    crn_calm_end(&calm);
}

void crn_note_swapcontext(ucontext_t *from, const ucontext_t *to,
                          const struct crn_saved_registers *registers)
{
    if (CRN_UNLIKELY(crn_real_swapcontext == NULL))
        crn_real_swapcontext = crn_shim_next("swapcontext");
    note_switch((struct switch_note){from, to, registers});
}

void crn_note_setcontext(const ucontext_t *to, void *unused,
                         const struct crn_saved_registers *registers)
{
    (void)unused;
    if (CRN_UNLIKELY(crn_real_setcontext == NULL))
        crn_real_setcontext = crn_shim_next("setcontext");
    note_switch((struct switch_note){NULL, to, registers});
}

CRN_INLINE void end_note(const ucontext_t *link)
{
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL || self->is_busy)
        return;
    crn_busy_begin(self);
    crn_ucontext_note_end(self, link);
    crn_busy_end(self);
}

static CRN_COLD void end_note_calmly(const ucontext_t *link)
{
    struct crn_calm calm = crn_calm_begin();
    end_note(link);
    crn_calm_end(&calm);
}

/* As __start_context does, but through our exit. */
static CRN_COLD void exit_from(uintptr_t sp)
{
    crn_exit(0, &(struct crn_saved_registers){.rsp = sp});
}

/*
 * `sp`: where nothing is left of the coroutine's frames.  What they left right below is evidence:
 * our frames, which lie there now, must stay small.
 */
void crn_note_ucontext_end(const ucontext_t *link, uintptr_t sp)
{
    if (CRN_UNLIKELY(crn_handlers_may_switch))
        end_note_calmly(link);
    else
        end_note(link);
    if (link == NULL)
        exit_from(sp);
}

typedef void crn_makecontext(ucontext_t *, void (*)(void), int, ...);
void crn_makecontext_pass(crn_makecontext *real, ucontext_t *context, void (*entry)(void), int count,
                          const uintptr_t *arguments) __attribute__((visibility("hidden")));

/* Passes all arguments on, as whole registers; the first three are there, be they given or not. */
static CRN_REALIGNED CRN_NOINLINE void context_make(ucontext_t *context, void (*entry)(void),
                                                    int count, va_list *arguments)
{
    enum { IN_REGISTERS = 3 };
    static crn_makecontext *real;
    int room = count > IN_REGISTERS ? count : IN_REGISTERS;
    uintptr_t copies[room];
    for (int i = 0; i < room; i++)
        copies[i] = i < count ? va_arg(*arguments, uintptr_t) : 0;
    if (real == NULL)
        real = (crn_makecontext *)crn_shim_next("makecontext");
    crn_makecontext_pass(real, context, entry, count, copies);
}

static CRN_REALIGNED CRN_NOINLINE void context_note(ucontext_t *context, void (*entry)(void),
                                                    const uintptr_t *frame)
{
    struct crn_calm calm = crn_calm_begin();
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL || self->is_busy || !crn_coros.is_ready) {
        crn_calm_end(&calm);
        return;
    }
    bool has_room = crn_thread_has_room(self, (uintptr_t)frame);
    uint32_t node = has_room && crn_shim.takes_stacks ? crn_shim_capture(self, frame) : 0;
    crn_busy_begin(self);
    if (has_room)
        crn_decoder_load();
    void *replaced = crn_ucontext_note_make(self, context, (uintptr_t)entry, node,
                                            (void *)(uintptr_t)crn_ucontext_end);
    crn_busy_end(self);
    if (replaced != NULL && replaced != (void *)(uintptr_t)crn_ucontext_end)
        crn_start_context = replaced;
    crn_calm_end(&calm);
}

CRN_EXPORT void makecontext(ucontext_t *context, void (*entry)(void), int count, ...)
{
    va_list arguments;
    va_start(arguments, count);
    context_make(context, entry, count, &arguments);
    va_end(arguments);
    context_note(context, entry, __builtin_frame_address(0));
}
