#ifndef CRN_SCOPE_H
#define CRN_SCOPE_H
/*
 * Scopes: pieces of work with an end, and how much of each is left.
 *
 * A scope counts the blocks that were allocated for it and the coroutines that were launched in
 * it.  Both counts are kept as they come and go, so a scope that left nothing behind ends for the
 * price of two loads, however large the heap is.
 *
 * A block says whom it was allocated for in its record's `coro` (an "owner"):
 *
 *     0                      a thread's own stack, no scope
 *     id                     a coroutine of the registry, no scope
 *     CRN_OWNER_SCOPE | n    scope n
 *     CRN_OWNER_IGNORED      never reported, nor what it leads to
 *
 * Handles are (generation << 32 | n): a scope that has ended is noticed.  Records are guarded by
 * crn_scopes.lock; counts are atomic.
 */
#include "coro/thread.h"

#define CRN_OWNER_SCOPE 0x80000000u
#define CRN_OWNER_IGNORED 0xffffffffu

/* Of threads only: no scope, and what they allocate is noted first (heap/young.h). */
#define CRN_OWNER_NOTED 0xfffffffeu

struct crn_scope {
    const char *name;
    uint32_t generation; /* odd: in use */
    uint32_t parent;     /* 0: none */
    _Atomic int64_t live_blocks;
    _Atomic int32_t live_coros;
    uint32_t children;   /* rows that name it as their parent */
    uint32_t next_free;
};

struct crn_scopes {
    struct crn_lock lock;
    struct crn_span rows;
    uint32_t made;       /* rows below were used; 0 is not */
    uint32_t free_first, free_last, free_count; /* ended rows, the one that ended first in front */
    bool has_ignored;    /* some block belongs to CRN_OWNER_IGNORED */
    struct crn_range *roots; /* regions that the program declared; guarded by the lock */
    uint32_t root_count;
};
extern struct crn_scopes crn_scopes;

bool crn_scopes_init(void);

CRN_INLINE struct crn_scope *crn_scope_at(uint32_t number)
{
    return (struct crn_scope *)crn_scopes.rows.base + number;
}

/* Begins a scope inside `parent` (0: none).  Answers its number, 0: no memory. */
uint32_t crn_scope_begin(uint32_t parent, const char *name, int tid);

/* Its handle, and back; the number is 0 when the scope has ended or never was. */
uint64_t crn_scope_handle(uint32_t number);
CRN_INLINE uint32_t crn_scope_number(uint64_t handle)
{
    uint32_t number = (uint32_t)handle;
    if (number == 0 || number >= crn_scopes.made)
        return 0;
    uint32_t generation = crn_scope_at(number)->generation;
    return generation == handle >> 32 && (generation & 1) != 0 ? number : 0;
}

/*
 * Ends it: the handle is not valid any more.  The row stays as long as blocks or coroutines say
 * that they belong to it.  What it still has open inside belongs to its parent from now on; *orphans is
 * how many scopes that were.  False: it has ended already.
 */
bool crn_scope_end(uint64_t handle, int tid, uint32_t *orphans);

/* The number of a row, if its scope is open; else 0. */
CRN_INLINE uint32_t crn_scope_if_open(uint32_t number)
{
    return number != 0 && (crn_scope_at(number)->generation & 1) != 0 ? number : 0;
}

/* Whether `number` is `scope` or lies inside it. */
bool crn_scope_is_inside(uint32_t number, uint32_t scope);

/* Whether a block with this owner belongs to `scope` or to one inside it; 0: every one does. */
bool crn_owner_is_inside(uint32_t owner, uint32_t scope);

/* A block with this owner came or went. */
CRN_INLINE void crn_owner_count(uint32_t owner, int by)
{
    if (CRN_UNLIKELY((owner & CRN_OWNER_SCOPE) != 0) && owner != CRN_OWNER_IGNORED)
        atomic_fetch_add_explicit(&crn_scope_at(owner & ~CRN_OWNER_SCOPE)->live_blocks, by,
                                  memory_order_relaxed);
}

/* The scope that is current on a thread; 0: none, or it was ended elsewhere. */
uint32_t crn_scope_current(const struct crn_thread *thread);

/* Works out who is to own what the thread allocates from now on. */
CRN_INLINE void crn_owner_update(struct crn_thread *thread)
{
    thread->owner = thread->task.disabled != 0    ? CRN_OWNER_IGNORED
                    : thread->task.scope != 0     ? CRN_OWNER_SCOPE | thread->task.scope
                    : crn_heap.young.is_open != 0 ? CRN_OWNER_NOTED
                                                  : thread->coro;
}

/* Makes an open scope (0: none) current on a thread; answers the handle of the one that was. */
CRN_INLINE uint64_t crn_scope_enter(struct crn_thread *thread, uint32_t number)
{
    uint64_t previous = (uint64_t)thread->task.scope_generation << 32 | thread->task.scope;
    thread->task.scope = number;
    thread->task.scope_generation = number != 0 ? crn_scope_at(number)->generation : 0;
    crn_owner_update(thread);
    return previous;
}

/* Regions that count as roots.  False: there is no room, or it is none. */
bool crn_region_root_add(struct crn_range range, int tid);
bool crn_region_root_remove(struct crn_range range, int tid);

void crn_scopes_after_fork(void);

#endif
