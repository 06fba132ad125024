#ifndef CRN_STATE_H
#define CRN_STATE_H
/*
 * The shim's own state: the phase, the options, the calling thread's record, its scratch stack and
 * the stacks that it takes.
 *
 *     COLD --first allocation--> EARLY --constructor--> ON --fatal trouble--> OFF
 *
 * EARLY: blocks are recorded, without stacks; libc and the loader are still coming up.  OFF: the
 * program runs on over jemalloc, unwatched.  That is for good: no record is read or written any
 * more, and malloc, realloc and malloc_usable_size are jemalloc's own.
 */
#include "shim/real.h"
#include "check/host.h"
#include "coro/coro.h"
#include "options/options.h"

enum crn_shim_phase { CRN_SHIM_COLD, CRN_SHIM_EARLY, CRN_SHIM_ON, CRN_SHIM_OFF };

struct crn_shim {
    _Atomic uint32_t phase; /* enum crn_shim_phase */
    uint32_t takes_stacks;  /* enum crn_stacks_mode, once it is decided; OFF before */
    bool verifies_stacks;   /* a test mode: stack/verify.h */
    struct crn_real real;
    struct crn_options options;
    struct crn_process_facts process;
    const char *launcher; /* the coroner command, for a plain preload; NULL: look beside us */
};
extern struct crn_shim crn_shim;

/*
 * Why this program cannot be watched at all, as a literal; NULL: it can.  Before libc is up: no
 * libc calls.
 */
const char *crn_shim_obstacle(void);

/* COLD to EARLY; harmless later.  Before libc is up: no libc calls at all. */
void crn_shim_start_early(void);

/*
 * The calling thread's record, attached now if needed; NULL when there is no memory for it, and once
 * we have stood down.
 */
struct crn_thread *crn_shim_thread(void);

/* Gives up watching, for good; the program goes on.  `why` is a literal.  From any thread. */
void crn_shim_stand_down(const char *why);

/*
 * The allocation stack of a block of this size, for crn_shim_is_due; 0: it gets none.
 *
 * thread->capture.until_sample says without a look elsewhere whether one is due.  It starts at 0, so the
 * first allocation asks here, and what it is set to then depends on the mode: full, always below
 * 0; sampled, counting down; off, far away.  Where the mode is not decided yet it stays 0.
 */
uint32_t crn_shim_stack_take(struct crn_thread *self, const uintptr_t *frame);

CRN_INLINE bool crn_shim_is_due(struct crn_thread *self, size_t bytes)
{
    return (self->capture.until_sample -= crn_sample_span(bytes)) < 0;
}

/* The node of the stack whose innermost frame called the function with this frame address. */
uint32_t crn_shim_capture(struct crn_thread *self, const uintptr_t *frame);

/* Runs a function on the calling thread's scratch stack, or in place when that is in use. */
void crn_shim_on_scratch(struct crn_thread *self, void (*function)(void *), void *argument);

/* Makes the key of thread_watch; false: there is none left, and records of threads stay. */
void crn_shim_thread_watch_init(void);

/* Has the calling thread's record given up when the thread ends. */
void crn_shim_thread_watch(struct crn_thread *thread);

#endif
