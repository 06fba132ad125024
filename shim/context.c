/*
 * ucontext's functions: tells the recogniser of each call.  The tail jumps are in entry_x86_64.S.
 */
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
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL || self->is_busy || !crn_coros.is_ready)
        return;
    crn_busy_begin(self);
    if (note.registers->rsp - self->fast_start < self->fast_span)
        switch_note_do(&note);
    else
        crn_shim_on_scratch(self, switch_note_do, &note);
    crn_busy_end(self);
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

/* `sp`: where nothing is left of the coroutine's frames. */
void crn_note_ucontext_end(const ucontext_t *link, uintptr_t sp)
{
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL && !self->is_busy) {
        crn_busy_begin(self);
        crn_ucontext_note_end(self, link);
        crn_busy_end(self);
    }
    if (link == NULL) /* as __start_context does, but through our exit */
        crn_exit(0, &(struct crn_saved_registers){.rsp = sp});
}

/* makecontext passes on whole registers; more arguments than this nobody has. */
enum { ARGUMENTS_MAX = 32 };

CRN_EXPORT void makecontext(ucontext_t *context, void (*entry)(void), int count, ...)
{
    typedef void (*real_makecontext)(ucontext_t *, void (*)(void), int, ...);
    static real_makecontext real;
    const uintptr_t *frame = __builtin_frame_address(0);
    uintptr_t a[ARGUMENTS_MAX] = {0};
    va_list arguments;
    if (real == NULL)
        real = (real_makecontext)crn_shim_next("makecontext");
    va_start(arguments, count);
    for (int i = 0; i < count && i < ARGUMENTS_MAX; i++)
        a[i] = va_arg(arguments, uintptr_t);
    va_end(arguments);
    real(context, entry, count, a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10],
         a[11], a[12], a[13], a[14], a[15], a[16], a[17], a[18], a[19], a[20], a[21], a[22], a[23],
         a[24], a[25], a[26], a[27], a[28], a[29], a[30], a[31]);
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL || self->is_busy || !crn_coros.is_ready)
        return;
    bool has_room = (uintptr_t)frame - self->fast_start < self->fast_span;
    uint32_t node = has_room && crn_shim.takes_stacks ? crn_shim_capture(self, frame) : 0;
    crn_busy_begin(self);
    void *replaced = crn_ucontext_note_make(self, context, (uintptr_t)entry, node,
                                            (void *)(uintptr_t)crn_ucontext_end);
    crn_busy_end(self);
    if (replaced != NULL && replaced != (void *)(uintptr_t)crn_ucontext_end)
        crn_start_context = replaced;
}
