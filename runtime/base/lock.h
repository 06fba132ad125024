#ifndef CRN_LOCK_H
#define CRN_LOCK_H
/*
 * A mutex in one futex word plus its owner: 0 free, 1 held, 2 held with sleepers (Ulrich Drepper,
 * "Futexes Are Tricky", mutex2).
 *
 * Held for tens of instructions, never while calling out.  The check takes the ones it needs
 * *before* it stops the threads, so that no parked thread can be holding them.  After fork the
 * child calls crn_lock_init on each: what a lock guards is kept readable at every store.
 */
#include "base/sys.h"

struct crn_lock {
    _Atomic uint32_t word;
    _Atomic int owner; /* thread id, while held */
};

/* Zeroed memory is one, too.  Writes to no lock that is free: a forked child copies what it writes.
 */
CRN_INLINE void crn_lock_init(struct crn_lock *lock)
{
    if (atomic_load_explicit(&lock->word, memory_order_relaxed) == 0)
        return;
    atomic_store_explicit(&lock->word, 0, memory_order_relaxed);
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
}

void crn_lock_wait(struct crn_lock *lock);

CRN_INLINE bool crn_lock_try(struct crn_lock *lock)
{
    uint32_t expected = 0;
    return atomic_compare_exchange_strong_explicit(&lock->word, &expected, 1, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* `tid`: the calling thread's id, so that a signal handler can tell whether it interrupted us. */
CRN_INLINE void crn_lock_acquire(struct crn_lock *lock, int tid)
{
    if (CRN_UNLIKELY(!crn_lock_try(lock)))
        crn_lock_wait(lock);
    atomic_store_explicit(&lock->owner, tid, memory_order_relaxed);
}

CRN_INLINE void crn_lock_release(struct crn_lock *lock)
{
    atomic_store_explicit(&lock->owner, 0, memory_order_relaxed);
    if (CRN_UNLIKELY(atomic_exchange_explicit(&lock->word, 0, memory_order_release) == 2))
        crn_futex_wake_all(&lock->word);
}

/*
 * Acquires unless the calling thread itself is the holder (we are in a signal handler on top of
 * it) or the wait exceeds timeout_ns.  Answers whether the lock is now ours.
 */
bool crn_lock_try_for(struct crn_lock *lock, int tid, uint64_t timeout_ns);

#endif
