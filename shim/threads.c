/*
 * pthread_create and thrd_create: learn of threads when they begin, and give them a stack for our
 * signal.  pthread_exit: from then on libc holds the thread's result.
 */
#include "shim/decoder.h"
#include "shim/signals.h"
#include "shim/state.h"
#include "coro/descriptor.h"
#include "coro/scope.h"
#include "base/sys.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <threads.h>

/* Empty again: what it held would else count as held for ever. */
static void slot_give(struct crn_thread_start *slot)
{
    slot->function = NULL;
    slot->argument = NULL;
    atomic_store_explicit(&slot->is_used, 0, memory_order_release);
}

/*
 * Attaches a thread that begins, on its own stack; `frame` marks where TLS and descriptor lie
 * above. The bounds come last: until then the stack is read like any other mapping.
 */
static struct crn_thread *attach(const struct crn_thread_start *slot, uintptr_t frame)
{
    pthread_attr_t attributes;
    void *start = NULL;
    size_t bytes = 0;
    if (crn_shim.phase == CRN_SHIM_OFF)
        return NULL;
    struct crn_thread *self = crn_thread_attach(CRN_STACK_TOLD_LATER, CRN_STACK_TOLD_LATER);
    if (self == NULL)
        return NULL;
    crn_busy_begin(self); /* pthread_getattr_np allocates */
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
        pthread_attr_getstack(&attributes, &start, &bytes);
        pthread_attr_destroy(&attributes);
    }
    uintptr_t result = crn_descriptor_result(self->descriptor);
    self->result_before = result != 0 ? *(const uintptr_t *)result : 0;
    self->has_program_stack = slot->has_program_stack;
    self->start_argument = (uintptr_t)slot->argument;
    self->base_sp = frame;
    self->own_start = (uintptr_t)start;
    atomic_signal_fence(memory_order_seq_cst);
    self->own_end = (uintptr_t)start + bytes;
    crn_scope_enter(self, crn_scope_if_open(slot->scope));
    crn_thread_enter(self, self->own_start, self->own_end, 0);
    crn_signal_stack_give(self);
    crn_shim_thread_watch(self);
    crn_busy_end(self);
    return self;
}

static void returning_note(struct crn_thread *self)
{
    if (self != NULL)
        self->is_returning = true;
}

static void *thread_begin(void *argument)
{
    struct crn_thread_start *slot = argument;
    void *(*function)(void *) = slot->function;
    void *its_argument = slot->argument;
    struct crn_thread *self = attach(slot, (uintptr_t)__builtin_frame_address(0));
    slot_give(slot);
    void *result = function(its_argument);
    returning_note(self);
    return result;
}

/* The same for one of C11's, whose result is an int. */
static int c11_thread_begin(void *argument)
{
    struct crn_thread_start *slot = argument;
    thrd_start_t function = (thrd_start_t)(uintptr_t)slot->function;
    void *its_argument = slot->argument;
    attach(slot, (uintptr_t)__builtin_frame_address(0));
    slot_give(slot);
    return function(its_argument);
}

static bool has_program_stack(const pthread_attr_t *attributes)
{
    void *start = NULL;
    size_t bytes = 0;
    return attributes != NULL && pthread_attr_getstack(attributes, &start, &bytes) == 0 &&
           (uintptr_t)start + bytes != 0; /* glibc's answer where none was set */
}

/*
 * What libc allocates for a thread (the table of its TLS blocks) is libc's own: until the thread
 * runs, and when its stack waits to be used again, it lies where no program could free it.  It is
 * never reported, as in LeakSanitizer, which ignores what pthread_create allocates, too.
 */
static struct crn_thread *libcs_own_begin(void)
{
    struct crn_thread *self = crn_shim_thread();
    if (self != NULL) {
        crn_scopes.has_ignored = true;
        self->task.disabled++;
        crn_owner_update(self);
        crn_decoder_load();
    }
    return self;
}

static void libcs_own_end(struct crn_thread *self)
{
    if (self != NULL) {
        self->task.disabled--;
        crn_owner_update(self);
    }
}

CRN_EXPORT CRN_REALIGNED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                              void *(*function)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (real == NULL)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
                        void *))crn_shim_next("pthread_create");
    struct crn_thread_start *slot =
        crn_thread_start_take(function, argument, has_program_stack(attributes));
    if (slot == NULL)
        return real(thread, attributes, function, argument);
    struct crn_thread *self = libcs_own_begin();
    int result = real(thread, attributes, thread_begin, slot);
    libcs_own_end(self);
    if (result != 0)
        slot_give(slot);
    return result;
}

CRN_EXPORT CRN_REALIGNED int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    static int (*real)(thrd_t *, thrd_start_t, void *);
    if (real == NULL)
        real = (int (*)(thrd_t *, thrd_start_t, void *))crn_shim_next("thrd_create");
    struct crn_thread_start *slot =
        crn_thread_start_take((void *(*)(void *))(uintptr_t)function, argument, false);
    if (slot == NULL)
        return real(thread, function, argument);
    struct crn_thread *self = libcs_own_begin();
    int result = real(thread, c11_thread_begin, slot);
    libcs_own_end(self);
    if (result != thrd_success)
        slot_give(slot);
    return result;
}

CRN_EXPORT CRN_REALIGNED __attribute__((noreturn)) void pthread_exit(void *result)
{
    static void (*real)(void *);
    if (real == NULL)
        real = (void (*)(void *))crn_shim_next("pthread_exit");
    returning_note(crn_self);
    real(result);
    __builtin_unreachable();
}
