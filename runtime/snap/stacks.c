/*
 * Stacks and ids of threads, in the order in which they are asked for.  See build.h.
 */
#include "snap/build.h"

bool crn_build_stacks(struct crn_snap_builder *builder)
{
    uint32_t threads = crn_threads_count();
    size_t room = (size_t)threads + 1;
    struct crn_intervals *stacks = &builder->stacks, *standing = &builder->standing;
    stacks->rows = crn_arena_alloc(&builder->snap->arena, room * sizeof *stacks->rows);
    standing->rows = crn_arena_alloc(&builder->snap->arena, room * sizeof *standing->rows);
    if (stacks->rows == NULL || standing->rows == NULL)
        return false;
    for (uint32_t i = 0; i < threads; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        uintptr_t tid = (uintptr_t)thread->tid;
        if (thread->state != CRN_THREAD_FREE)
            stacks->rows[stacks->count++] = (struct crn_interval){
                .start = thread->own_start, .end = thread->own_end, .value = i};
        if (crn_build_stack_use(builder, thread) == CRN_STACK_STANDS)
            standing->rows[standing->count++] =
                (struct crn_interval){.start = tid, .end = tid + 1, .value = i};
    }
    crn_intervals_seal(stacks);
    crn_intervals_seal(standing);
    return true;
}
