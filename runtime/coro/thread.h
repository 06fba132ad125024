#ifndef CRN_THREAD_H
#define CRN_THREAD_H
/*
 * What Coroner knows about each thread: which stack it is on, its counts, its last walks.
 *
 * A record is attached at a thread's first call into the shim and found through one initial-exec
 * TLS pointer.  Records live in one span and are reused when their thread is gone; a dead one
 * still tells where the stack lies that glibc keeps for the next thread, which takes the record over
 * with it.
 */
#include "heap/heap.h"
#include "stack/capture.h"

#include <ucontext.h>

enum crn_thread_state { CRN_THREAD_FREE, CRN_THREAD_ALIVE, CRN_THREAD_ENDING };

/* Where the callee-saved registers of a stack went when it was left. */
struct crn_saved_context {
    uintptr_t context;      /* the ucontext_t they were saved to; 0: none */
    uintptr_t sp, pc;       /* 0: not known */
    uintptr_t registers[6]; /* rbx rbp r12 r13 r14 r15 */
};

/* What it works for: guarded like scopes (scope.h) and announced coroutines (probe.h). */
struct crn_task {
    uint32_t scope;            /* the current one; 0: none */
    uint32_t scope_generation; /* of its row, to know whether it has ended */
    uint32_t own_scope;        /* what was current on its own stack when that was left */
    uint32_t disabled; /* how often coroner_disable was called without coroner_enable */
    uint32_t probe;    /* the announced coroutine that it runs; 0: none */
};

struct crn_thread {
    /* Hot: read or written at every allocation, two cache lines.  Only the owner writes. */
    _Alignas(CRN_CACHE_LINE_BYTES) uintptr_t fast_start; /* the part of the stack that runs now where we need not be careful: */
    uintptr_t fast_rows;    /* rows of 16 bytes from there; a reserve at its end is not in it */
    uint32_t coro;          /* id of the coroutine that runs now; 0: the thread's own stack */
    uint32_t is_busy;       /* inside Coroner: do not capture, do not recurse */
    struct crn_heap_counts counts;
    uint32_t owner;         /* whom it allocates for: scope.h */
    struct crn_capture capture; /* hot in its first part */

    /* Cold. */
    uintptr_t stack_start, stack_span; /* all of the stack that runs now; span 0: not known */
    int tid;
    _Atomic uint32_t state;       /* enum crn_thread_state */
    uint32_t is_main;
    uintptr_t own_start, own_end; /* bounds of the thread's own stack; end 0: not known */
    uintptr_t base_sp;            /* sp where the thread began: above it lie TLS and descriptor */
    uintptr_t descriptor;         /* glibc's struct pthread, whose third word is its own address */
    uint64_t serial;              /* of the attachments: of two with one descriptor, who is later */
    void *signal_stack;           /* ours, for the stop signal; NULL: none */
    void *scratch_stack;          /* ours, for work that the stack has no room for; NULL: none yet */
    bool is_on_scratch;           /* it is in use */
    uintptr_t scratch_sp;         /* while it is: where the stack was that the thread came from */
    /* It ends the program: whoever stops it sees it here, where it left the program's code; or
     * NULL. */
    const ucontext_t *_Atomic stands_at;
    uintptr_t in_flight[2];       /* blocks that realloc moves now, from and to: both are held */
    bool has_program_stack;         /* its own stack is memory of the program's */
    bool was_left_by_fork;          /* in a forked child: the thread itself is not there */
    bool is_returning;              /* its result may be there already */
    uintptr_t result_before;        /* what its descriptor had for a result when it began */
    uintptr_t start_argument;       /* what it was started with: libc holds it while it lives */
    uintptr_t program_signal_stack; /* the one the program set, which the kernel holds; 0: none */
    size_t program_signal_bytes;

    struct crn_task task;
    void *check; /* what the checks that it asks for keep, by its serial (check/demand.c); NULL:
                    nothing yet */

    /* Where its own stack was last left for a coroutine; `is_away`: and not returned to. */
    struct crn_saved_context left;
    bool is_away;
};

/* Whether we need not be careful at `sp`: the thread's stack is known, and has room below. */
CRN_INLINE bool crn_thread_has_room(const struct crn_thread *thread, uintptr_t sp)
{
    return (sp - thread->fast_start) >> 4 < thread->fast_rows;
}

/* What malloc and free touch is the first line, what taking a stack touches the second. */
_Static_assert(offsetof(struct crn_thread, capture.until_sample) + sizeof(int64_t) <=
                   CRN_CACHE_LINE_BYTES,
               "the hot path reads one cache line of a thread's record");
_Static_assert(offsetof(struct crn_thread, capture.walker) + sizeof(struct crn_walker) <=
                   2 * CRN_CACHE_LINE_BYTES,
               "taking a stack reads two");

/*
 * Between these two the thread is inside Coroner: what it allocates gets no stack, and nothing of
 * ours begins anew.  They do not nest.
 */
CRN_INLINE void crn_busy_begin(struct crn_thread *thread)
{
    thread->is_busy = 1;
}
CRN_INLINE void crn_busy_end(struct crn_thread *thread)
{
    thread->is_busy = 0;
}

/* The calling thread's record; NULL before it is attached. */
extern __thread struct crn_thread *crn_self __attribute__((tls_model("initial-exec")));

enum {
    CRN_SIGNAL_STACK_BYTES = 64 * 1024,
    CRN_STACK_RESERVE_BYTES = 8 * 1024,       /* what our work may need on the program's stack */
    CRN_STACK_SMALL_BYTES = 64 * 1024,        /* on one no larger than this: */
    CRN_STACK_SMALL_RESERVE_BYTES = 5 * 1024, /* without libunwind, see crn_frame_stride */
};

bool crn_threads_init(void);

/*
 * Attaches the calling thread (again after its record was given up).  [own_start, own_end) is its
 * stack; or 0, 0 when not known: it is then taken from the memory map; or CRN_STACK_TOLD_LATER: until
 * the caller fills it in, it is read like any other mapping.  NULL: no memory.
 * Takes no lock; async-signal-safe.
 */
enum { CRN_STACK_TOLD_LATER = 1 };
struct crn_thread *crn_thread_attach(uintptr_t own_start, uintptr_t own_end);

/* Declares that the calling thread is ending; its record is reused once it is gone. */
void crn_thread_note_ending(struct crn_thread *thread);

/* Switches the record to another stack: bounds, coroutine, memo. */
void crn_thread_enter(struct crn_thread *thread, uintptr_t start, uintptr_t end, uint32_t coro);

/* All records ever used: index 0 .. count - 1. */
uint32_t crn_threads_count(void);
struct crn_thread *crn_thread_at(uint32_t index);

/*
 * What pthread_create was given, until the new thread takes it: nothing else may hold the argument
 * meanwhile, so a check reads the slots as roots.
 */
struct crn_thread_start {
    void *(*function)(void *);
    void *argument;
    _Atomic uint32_t is_used;
    uint32_t scope; /* the creator's */
    bool has_program_stack;
};
struct crn_thread_start *crn_thread_start_take(void *(*function)(void *), void *argument,
                                               bool has_program_stack);
struct crn_range crn_thread_starts_range(void);

/* In a forked child: only the calling thread is left. */
void crn_threads_after_fork(void);

#endif
