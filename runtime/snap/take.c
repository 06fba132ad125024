/*
 * Takes the picture.  See take.h; the parts are in mappings.c, threads.c, coros.c, kernel.c and
 * frames.c.
 */
#include "snap/build.h"
#include "snap/beforehand.h"
#include "base/pages.h"
#include "base/sort.h"

#include <string.h>

static bool range_less(const void *a, const void *b)
{
    return ((const struct crn_range *)a)->start < ((const struct crn_range *)b)->start;
}

static bool outside_less(const void *a, const void *b)
{
    return ((const struct crn_outside_block *)a)->start <
           ((const struct crn_outside_block *)b)->start;
}

/* What mappings.c must leave out: our memory and modules, and the stacks of threads. */
static bool own_collect(struct crn_snap_builder *builder)
{
    uint32_t threads = crn_threads_count();
    size_t extents = crn_extents_count_locked(&crn_heap.extents);
    size_t room = CRN_VM_OWN_MAX + CRN_EXCLUDED_MAX + extents + threads;
    struct crn_range *own = crn_arena_alloc(&builder->snap->arena, room * sizeof *own);
    if (own == NULL)
        return false;
    size_t count = crn_vm_own_ranges(own);
    count += crn_snap_excluded_ranges(own + count);
    count += crn_extents_copy_locked(&crn_heap.extents, own + count, extents);
    for (uint32_t i = 0; i < threads; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        if (crn_build_stack_use(builder, thread) != CRN_STACK_UNKNOWN)
            own[count++] = (struct crn_range){thread->own_start, thread->own_end};
    }
    crn_sort(own, count, sizeof *own, range_less);
    builder->own = own;
    builder->own_count = count;
    return true;
}

static bool address_less(const void *a, const void *b)
{
    return *(const uintptr_t *)a < *(const uintptr_t *)b;
}

static bool stopped_less(const void *a, const void *b)
{
    return ((const struct crn_stopped *)a)->tid < ((const struct crn_stopped *)b)->tid;
}

/* The threads that stopped, by their ids: they are asked for by those. */
static bool stopped_collect(struct crn_snap_builder *builder,
                            const struct crn_stopped_list *stopped)
{
    size_t room = (size_t)stopped->count + 1;
    struct crn_stopped *rows = crn_arena_alloc(&builder->snap->arena, room * sizeof *rows);
    uintptr_t *descriptors = crn_arena_alloc(&builder->snap->arena, room * sizeof *descriptors);
    uint32_t count = 0;
    if (rows == NULL || descriptors == NULL)
        return false;
    for (uint32_t i = 0; i < stopped->count; i++) {
        if (stopped->threads[i].tid == 0)
            continue;
        descriptors[count] = stopped->threads[i].descriptor;
        rows[count++] = stopped->threads[i];
    }
    crn_sort(rows, count, sizeof *rows, stopped_less);
    builder->stopped = rows;
    builder->stopped_count = count;
    descriptors[count] = crn_self != NULL ? crn_self->descriptor : 0;
    builder->descriptors = descriptors;
    builder->descriptor_count = count + 1;
    crn_sort(descriptors, builder->descriptor_count, sizeof *descriptors, address_less);
    return true;
}

static bool bearer_less(const void *a, const void *b)
{
    const struct crn_bearer *x = a, *y = b;
    return x->descriptor != y->descriptor ? x->descriptor < y->descriptor : x->serial > y->serial;
}

static bool bearers_collect(struct crn_snap_builder *builder)
{
    uint32_t threads = crn_threads_count();
    builder->bearers =
        crn_arena_alloc(&builder->snap->arena, (threads + 1) * sizeof *builder->bearers);
    if (builder->bearers == NULL)
        return false;
    for (uint32_t i = 0; i < threads; i++) {
        const struct crn_thread *thread = crn_thread_at(i);
        if (thread->state != CRN_THREAD_FREE)
            builder->bearers[builder->bearer_count++] =
                (struct crn_bearer){thread->descriptor, thread->serial};
    }
    crn_sort(builder->bearers, builder->bearer_count, sizeof *builder->bearers, bearer_less);
    return true;
}

static bool outside_collect(struct crn_snap *snap)
{
    const struct crn_outside *outside = &snap->heap->outside;
    if (outside->count == 0)
        return true;
    snap->outside = crn_arena_alloc(&snap->arena, outside->count * sizeof *snap->outside);
    if (snap->outside == NULL)
        return false;
    for (size_t i = 0; i < outside->capacity && snap->outside_count < outside->count; i++)
        if (outside->rows[i].start != 0)
            snap->outside[snap->outside_count++] = outside->rows[i];
    crn_sort(snap->outside, snap->outside_count, sizeof *snap->outside, outside_less);
    return true;
}

enum crn_status crn_snap_take(struct crn_snap *snap, const struct crn_stopped_list *stopped,
                              const struct crn_taker *taker, const struct crn_occasion *occasion,
                              uint64_t birth_from, bool is_torn)
{
    struct crn_snap_builder builder = {.snap = snap};
    memset(snap, 0, sizeof *snap);
    snap->heap = &crn_heap;
    snap->heap_end = crn_heap.region.next;
    snap->birth_from = birth_from;
    snap->taken_ns = crn_now_ns();
    snap->unseen_threads = stopped->unseen;
    snap->is_torn = is_torn;
    snap->is_unaligned = crn_root_choice.is_unaligned;
    snap->is_aligned_only = crn_root_choice.is_aligned_only;
    snap->asks_stale = crn_root_choice.asks_stale && !crn_root_choice.is_unaligned;
    snap->occasion = *occasion;
    snap->is_narrow = occasion->is_narrow;
    enum crn_status status = CRN_ERR_NO_MEMORY;
    crn_pages_open();
    crn_build_name(&builder, "%s", "");
    if (taker->beforehand != NULL)
        crn_beforehand_apply(&builder, taker->beforehand);
    else
        crn_build_kernel(&builder);
    crn_pages_beware(builder.has_userfaultfd);
    if (crn_build_only(&builder) && stopped_collect(&builder, stopped) &&
        bearers_collect(&builder) && own_collect(&builder) && crn_build_stacks(&builder) &&
        outside_collect(snap)) {
        status = crn_build_mappings(&builder);
        crn_build_threads(&builder, taker);
        crn_build_coros(&builder, taker);
        crn_build_probes(&builder, taker);
        if (taker->beforehand == NULL)
            crn_build_rings(&builder);
        crn_build_frames(&builder);
        if (!crn_build_inherited(&builder))
            status = CRN_ERR_SYSTEM;
        crn_build_opaques_finish(snap);
    }
    if (snap->arena.exhausted)
        status = CRN_ERR_NO_MEMORY;
    if (status != CRN_OK)
        crn_snap_free(snap);
    return status;
}

void crn_snap_free(struct crn_snap *snap)
{
    crn_pages_close();
    crn_span_fini(&snap->frames_span);
    crn_arena_free_all(&snap->arena);
}
