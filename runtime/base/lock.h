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

CRN_INLINE void crn_lock_init(struct crn_lock *lock)
{
    __atomic_store_n(&lock->word, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&lock->owner, 0, __ATOMIC_RELAXED);
}

void crn_lock_wait(struct crn_lock *lock);

CRN_INLINE bool crn_lock_try(struct crn_lock *lock)
{
    uint32_t expected = 0;
    return __atomic_compare_exchange_n(&lock->word, &expected, 1, false, __ATOMIC_ACQUIRE,
                                       __ATOMIC_RELAXED);
}

/* `tid`: the calling thread's id, so that a signal handler can tell whether it interrupted us. */
CRN_INLINE void crn_lock_acquire(struct crn_lock *lock, int tid)
{
    if (CRN_UNLIKELY(!crn_lock_try(lock)))
        crn_lock_wait(lock);
    __atomic_store_n(&lock->owner, tid, __ATOMIC_RELAXED);
}

CRN_INLINE void crn_lock_release(struct crn_lock *lock)
{
    __atomic_store_n(&lock->owner, 0, __ATOMIC_RELAXED);
    if (CRN_UNLIKELY(__atomic_exchange_n(&lock->word, 0, __ATOMIC_RELEASE) == 2))
        crn_futex_wake_all(&lock->word);
}

/*
 * Acquires unless the calling thread itself is the holder (we are in a signal handler on top of
 * it) or the wait exceeds timeout_ns.  Answers whether the lock is now ours.
 */
bool crn_lock_try_for(struct crn_lock *lock, int tid, uint64_t timeout_ns);

#endif
