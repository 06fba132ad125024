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
    while (__atomic_exchange_n(&lock->word, 2, __ATOMIC_ACQUIRE) != 0)
        crn_futex_wait(&lock->word, 2, UINT64_MAX);
}

bool crn_lock_try_for(struct crn_lock *lock, int tid, uint64_t timeout_ns)
{
    uint64_t deadline = crn_now_ns() + timeout_ns;
    while (!crn_lock_try(lock)) {
        if (__atomic_load_n(&lock->owner, __ATOMIC_RELAXED) == tid || crn_now_ns() > deadline)
            return false;
        crn_futex_wait(&lock->word, __atomic_load_n(&lock->word, __ATOMIC_RELAXED), 1000000);
    }
    __atomic_store_n(&lock->owner, tid, __ATOMIC_RELAXED);
    return true;
}
