/*
 * pthread_create and thrd_create: learn of threads when they begin, and give them a stack for our
 * signal.
 */
#include "shim/signals.h"
#include "shim/state.h"
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

/* In the first frame on the new thread's own stack: above it lie TLS and descriptor. */
CRN_INLINE void thread_begin(struct crn_thread_start *slot)
{
    pthread_attr_t attributes;
    void *start = NULL;
    size_t bytes = 0;
    struct crn_thread *self = crn_shim.phase == CRN_SHIM_OFF ? NULL : crn_thread_attach(0, 1);
    if (self != NULL) {
        crn_busy_begin(self); /* pthread_getattr_np allocates */
        if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
            pthread_attr_getstack(&attributes, &start, &bytes);
            pthread_attr_destroy(&attributes);
        }
        self->own_start = (uintptr_t)start;
        self->own_end = (uintptr_t)start + bytes;
        self->start_argument = (uintptr_t)slot->argument;
        crn_scope_enter(self, crn_scope_if_open(slot->scope));
        self->base_sp = (uintptr_t)__builtin_frame_address(0);
        crn_thread_enter(self, self->own_start, self->own_end, 0);
        crn_signal_stack_give(self);
        crn_shim_thread_watch(self);
        crn_busy_end(self);
    }
    slot_give(slot);
}

static void *pthread_begin(void *argument)
{
    struct crn_thread_start slot = *(struct crn_thread_start *)argument;
    thread_begin(argument);
    return slot.function(slot.argument);
}

static int thrd_begin(void *argument)
{
    struct crn_thread_start slot = *(struct crn_thread_start *)argument;
    thread_begin(argument);
    return ((thrd_start_t)(void (*)(void))slot.function)(slot.argument);
}

CRN_EXPORT CRN_REALIGNED int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                              void *(*function)(void *), void *argument)
{
    static int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    if (real == NULL)
        real = (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))
            crn_shim_next("pthread_create");
    struct crn_thread_start *slot = crn_thread_start_take(function, argument);
    if (slot == NULL)
        return real(thread, attributes, function, argument);
    int result = real(thread, attributes, pthread_begin, slot);
    if (result != 0)
        slot_give(slot);
    return result;
}

CRN_EXPORT int thrd_create(thrd_t *thread, thrd_start_t function, void *argument)
{
    static int (*real)(thrd_t *, thrd_start_t, void *);
    if (real == NULL)
        real = (int (*)(thrd_t *, thrd_start_t, void *))crn_shim_next("thrd_create");
    struct crn_thread_start *slot =
        crn_thread_start_take((void *(*)(void *))(void (*)(void))function, argument);
    if (slot == NULL)
        return real(thread, function, argument);
    int result = real(thread, thrd_begin, slot);
    if (result != thrd_success)
        slot_give(slot);
    return result;
}
