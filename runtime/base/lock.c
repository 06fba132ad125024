/*
 * The slow paths of lock.h.
 */
#include "base/lock.h"

void crn_lock_wait(struct crn_lock *lock)
{
    for (int spin = 0; spin < 64; spin++) {
        if (crn_lock_try(lock))
            return;
        __builtin_ia32_pause();
    }
    while (atomic_exchange_explicit(&lock->word, 2, memory_order_acquire) != 0)
        crn_futex_wait(&lock->word, 2, UINT64_MAX);
}

bool crn_lock_try_for(struct crn_lock *lock, int tid, uint64_t timeout_ns)
{
    uint64_t deadline = crn_now_ns() + timeout_ns;
    while (!crn_lock_try(lock)) {
        if (atomic_load_explicit(&lock->owner, memory_order_relaxed) == tid ||
            crn_now_ns() > deadline)
            return false;
        crn_futex_wait(&lock->word, atomic_load_explicit(&lock->word, memory_order_relaxed),
                       1000000);
    }
    atomic_store_explicit(&lock->owner, tid, memory_order_relaxed);
    return true;
}
