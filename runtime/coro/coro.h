#ifndef CRN_CORO_H
#define CRN_CORO_H
/*
 * The registry: every coroutine that was seen, what state it is in, and where its stack lies.
 *
 * Kinds that announce themselves (announced.h) feed it; each knows one way in which programs switch stacks.  The
 * registry keeps one record a coroutine and one ordered map from stack addresses to records:
 *
 *     created --> running <--> suspended --> completed --> destroyed
 *
 * Identity is (address, generation): a new coroutine on the same stack is a new record, and the
 * one it replaces is destroyed.  Records are numbered from 1; numbers come again after a while.
 *
 * Everything is guarded by crn_coros.lock, except where a function says otherwise.  The check
 * takes the lock before it stops the threads.
 */
#include "coro/thread.h"
#include "base/ranges.h"
#include "base/words.h"

struct crn_announced_kind;

enum crn_coro_flags {
    CRN_CORO_LOOSE = 1,       /* left by a switch we did not see: its sp is not known */
    CRN_CORO_JUDGED_DEAD = 2, /* a check called it dead */
    CRN_CORO_RESURRECTED = 4, /* and then it ran */
    CRN_CORO_WHOLE = 8,       /* mechanism STACK: its range was told, it is one stack */
    CRN_CORO_NO_MERGE = 16,   /* mechanism STACK: its range is one mapping or block, no more */
    CRN_CORO_SHARED = 32,     /* mechanism STACK: more than one fiber was seen on it */
};

struct crn_coro {
    uint8_t mechanism; /* enum crn_mechanism */
    uint8_t state;     /* enum crn_coro_state; DESTROYED: the record is free */
    uint8_t flags;     /* enum crn_coro_flags */
    uint32_t created_node;
    uintptr_t stack_start, stack_end; /* opaque: [start, end) */
    uintptr_t entry;                  /* its entry function; 0: not known */
    struct crn_saved_context saved;   /* as it was left, or made */
    struct crn_saved_context resumer; /* of whoever switched to it last: stale while it runs */
    const struct crn_announced_kind *kind;
    uint32_t scope; /* what is current when it runs, unless an announced coroutine says so */
    uint32_t next_free;
    uint32_t generation; /* how often this record was used */
    uint64_t born;       /* the birth of the clock when it was first seen (heap/births.h) */
};

struct crn_coros {
    struct crn_lock lock;
    struct crn_span records;  /* of struct crn_coro; id 0 is not used */
    uint32_t records_made;    /* ids below were used */
    uint32_t free_first, free_last;
    struct crn_ranges stacks; /* stack range -> id */
    struct crn_ranges mapped; /* what may be used for stacks -> enum crn_mapped_kind */
    struct crn_ranges slabs;  /* large blocks with many stacks in them -> the block's record */
    uint64_t seen, destroyed, resurrected;
    _Atomic uint32_t has_mapped; /* anything in `mapped` ever */
    _Atomic uint32_t is_used; /* any coroutine ever: spares munmap and free the look */
    bool is_ready;
};
extern struct crn_coros crn_coros;

bool crn_coros_init(void);

CRN_INLINE struct crn_coro *crn_coro_at(uint32_t id)
{
    return (struct crn_coro *)crn_coros.records.base + id;
}

/*
 * Enters a coroutine on [start, end); whatever was on those addresses is destroyed.  Flags the
 * heap block the stack lies in, so that freeing it is noticed.  0: no memory.  Locked.
 */
uint32_t crn_coro_create_locked(const struct crn_announced_kind *kind, uintptr_t start,
                                uintptr_t end, enum crn_coro_state state);

/* The coroutine whose stack holds `address`; 0: none.  Locked. */
uint32_t crn_coro_find_locked(uintptr_t address);

/* `id` is about to run on `thread`: sets states and the thread's bounds; 0: its own stack. */
void crn_coro_enter_locked(struct crn_thread *thread, uint32_t id);

/* The thread leaves the coroutine it is on, if any, in a way that does not tell its sp. */
void crn_coro_leave_loose_locked(struct crn_thread *thread);

/*
 * The thread's sp is not on the stack we thought: finds out which one it is, after a switch that
 * nobody told us of.  Takes the lock; may read the memory map (8 KiB of stack: call it through
 * crn_stack_call).
 */
void crn_coro_resolve(struct crn_thread *thread, uintptr_t sp);

/* What is known of memory on which coroutines may run. */
enum crn_mapped_kind {
    CRN_MAPPED_PLAIN,     /* one call of mmap: the kernel may have joined it with others */
    CRN_MAPPED_FOR_STACK, /* MAP_STACK: a check looks for parked stacks there */
    CRN_MAPPED_ONE_STACK, /* exactly one stack, such as a signal stack */
};

/* Notes memory that may be used for stacks. */
void crn_coro_note_mapped(uintptr_t start, uintptr_t end, enum crn_mapped_kind kind, int tid);

/* [start, end) cannot be read any more: what was taken for one stack may have been several. */
void crn_coro_note_guard(struct crn_thread *thread, uintptr_t start, uintptr_t end);

/* Memory [start, end) was freed or unmapped: coroutines whose stacks lay there are destroyed. */
void crn_coro_note_memory_gone(uintptr_t start, uintptr_t end, int tid);

void crn_coros_after_fork(void);

#endif
