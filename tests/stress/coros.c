/*
 * The registry of coroutines: threads make coroutines on stacks of their own, enter and leave them,
 * and free the stacks, side by side.
 */
#include "stress.h"

#include "coro/coro.h"
#include "coro/announced.h"

enum { ROUNDS = 2000, STACKS = 16, STACK_BYTES = 65536 };

static uintptr_t stack_of(unsigned thread, unsigned i)
{
    return 0x100000000000 + ((uintptr_t)thread * STACKS + i) * STACK_BYTES;
}

static void work(unsigned thread)
{
    struct crn_thread *self = crn_thread_attach(0, 0);
    uint64_t random = thread + 1;
    STRESS_REQUIRE(self != NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        uintptr_t start = stack_of(thread, stress_random(&random, STACKS));
        crn_lock_acquire(&crn_coros.lock, self->tid);
        uint32_t id = crn_coro_find_locked(start + 100);
        if (id == 0) {
            id = crn_coro_create_locked(&crn_announced_ucontext, start, start + STACK_BYTES,
                                        CRN_CORO_CREATED);
            STRESS_REQUIRE(id != 0 && crn_coro_find_locked(start) == id);
        }
        STRESS_REQUIRE(crn_coro_at(id)->stack_start == start);
        crn_coro_enter_locked(self, id);
        STRESS_REQUIRE(self->coro == id);
        crn_coro_leave_loose_locked(self);
        crn_coro_enter_locked(self, 0);
        crn_lock_release(&crn_coros.lock);
        if (round % 5 == 0) {
            start = stack_of(thread, stress_random(&random, STACKS));
            crn_coro_note_memory_gone(start, start + STACK_BYTES, self->tid);
        }
    }
    for (unsigned i = 0; i < STACKS; i++)
        crn_coro_note_memory_gone(stack_of(thread, i), stack_of(thread, i) + STACK_BYTES,
                                  self->tid);
    crn_thread_note_ending(self);
}

int main(void)
{
    STRESS_REQUIRE(crn_threads_init() && crn_coros_init());
    stress_run(work);
    for (unsigned i = 0; i < STRESS_THREADS * STACKS; i++)
        STRESS_REQUIRE(crn_coro_find_locked(stack_of(0, i)) == 0);
    STRESS_REQUIRE(crn_coros.seen == crn_coros.destroyed);
    return 0;
}
