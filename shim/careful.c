/*
 * Finds a stack to work on.  See careful.h.
 */
#include "shim/calm.h"
#include "shim/careful.h"
#include "base/sys.h"

#include <signal.h>

struct errand {
    crn_performer *perform;
    struct crn_request request;
};

static void errand_do(void *argument)
{
    struct errand *errand = argument;
    errand->perform(crn_self, &errand->request);
}

static void resolve_do(void *argument)
{
    crn_coro_resolve(crn_self, *(const uintptr_t *)argument);
}

/* On a signal stack, whose walks nobody remembers: the handler will be over soon. */
static void signal_stack_do(struct crn_thread *self, struct errand *errand)
{
    stack_t current;
    struct crn_memo *usual = self->capture.memo, passing = {.count = 0};
    if (crn_syscall2(SYS_sigaltstack, NULL, &current) == 0 &&
        (uintptr_t)errand->request.frame - (uintptr_t)current.ss_sp < current.ss_size)
        passing.bounds = (struct crn_stack_bounds){(uintptr_t)current.ss_sp,
                                                   (uintptr_t)current.ss_sp + current.ss_size};
    self->capture.memo = &passing;
    crn_shim_on_scratch(self, errand_do, errand);
    self->capture.memo = usual;
    crn_memo_fini(&passing);
}

static void place_find(struct errand *errand)
{
    struct crn_thread *self = crn_shim_thread();
    if (self == NULL) {
        errand->perform(NULL, &errand->request);
        return;
    }
    uintptr_t sp = (uintptr_t)errand->request.frame;
    if (self->is_busy || self->is_on_scratch) {
        /* A handler on top of us: do it here and now, without a stack; the memo is of another. */
        uint32_t was_busy = self->is_busy;
        crn_busy_begin(self);
        errand_do(errand);
        self->is_busy = was_busy;
        return;
    }
    if (sp - self->stack_start >= self->stack_span) {
        struct crn_calm calm = crn_calm_begin();
        crn_busy_begin(self);
        crn_shim_on_scratch(self, resolve_do, &sp);
        crn_busy_end(self);
        crn_calm_end(&calm);
    }
    if (crn_thread_has_room(self, sp))
        errand_do(errand);
    else if (sp - self->stack_start < self->stack_span)
        crn_shim_on_scratch(self, errand_do, errand);
    else
        signal_stack_do(self, errand);
}

CRN_COLD CRN_REALIGNED uintptr_t crn_careful(crn_performer *perform, void *block, size_t bytes, size_t extra,
                               int flags, const uintptr_t *frame)
{
    struct errand errand = {
        perform, {.block = block, .bytes = bytes, .extra = extra, .flags = flags, .frame = frame}};
    place_find(&errand);
    return errand.request.result;
}
