/*
 * Coroutines of the live process, as the mark wants them.
 *
 * What the registry noted is checked against where threads really are: a coroutine runs if some
 * thread's sp is on its stack.  One that was noted as running but has nobody on it was left by a
 * switch we did not see, or is being switched to right now: unknown, hence live.
 */
#include "snap/build.h"
#include "base/sort.h"

#include <string.h>

static void runner_note(struct crn_snap *snap, const uint32_t *index_of, uintptr_t sp)
{
    uint32_t id = crn_coro_find_locked(sp);
    if (id == 0 || index_of[id] == 0)
        return;
    struct crn_snap_coro *coro = &snap->coros[index_of[id] - 1];
    if (coro->state == CRN_CORO_RUNNING && coro->body_start <= sp && coro->is_exact)
        return;
    coro->state = CRN_CORO_RUNNING;
    coro->is_root = true;
    if (coro->mechanism == CRN_MECHANISM_STACK)
        return; /* its bounds are those of a mapping: other data may lie below sp */
    coro->is_exact = true;
    coro->body_start = sp;
    coro->body_end = coro->stack_end;
    coro->word_count = 0;
}

static void contexts_add(struct crn_snap_builder *builder, const struct crn_coro_context *contexts,
                         unsigned count, uint32_t index)
{
    for (unsigned i = 0; i < count; i++)
        crn_build_opaque(builder, (struct crn_opaque){contexts[i].start, contexts[i].end, index,
                                                      true, contexts[i].is_handle});
}

static void coro_add(struct crn_snap_builder *builder, const struct crn_coro *coro, uint32_t id,
                     uint32_t index)
{
    struct crn_coro_context contexts[4];
    struct crn_coro_body body;
    coro->recogniser->body_get(coro, &body);
    bool is_loose = (coro->flags & CRN_CORO_LOOSE) != 0 || coro->state == CRN_CORO_RUNNING ||
                    coro->mechanism == CRN_MECHANISM_STACK;
    builder->snap->coros[index] = (struct crn_snap_coro){
        .id = id,
        .mechanism = coro->mechanism,
        .state = coro->state == CRN_CORO_RUNNING ? CRN_CORO_SUSPENDED : coro->state,
        .is_root = is_loose,
        .is_exact = body.is_exact,
        .is_sure = coro->recogniser->is_completion_exact,
        .stack_start = coro->stack_start,
        .stack_end = coro->stack_end,
        .body_start = is_loose ? coro->stack_start : body.start,
        .body_end = body.end,
        .first_word = crn_build_words(builder, body.words, body.word_count),
        .word_count = body.word_count,
        .created_node = coro->created_node,
        .entry = coro->entry,
    };
    crn_build_opaque(builder, (struct crn_opaque){coro->stack_start, coro->stack_end, index, false,
                                                  false});
    contexts_add(builder, contexts, coro->recogniser->contexts_get(coro, contexts), index);
}

/* By start; a context before the stack it begins. */
static bool opaque_less(const void *a, const void *b)
{
    const struct crn_opaque *x = a, *y = b;
    return x->start != y->start ? x->start < y->start : x->is_context > y->is_context;
}

/* Areas inside a stack are read as part of a body or not at all; equal ones are one handle. */
static void opaques_tidy(struct crn_snap *snap)
{
    size_t kept = 0;
    for (size_t i = 0; i < snap->opaque_count; i++) {
        struct crn_opaque row = snap->opaques[i];
        struct crn_opaque *last = kept > 0 ? &snap->opaques[kept - 1] : NULL;
        if (last != NULL && row.start < last->end) {
            if (last->is_context && row.is_context && row.is_handle && !last->is_handle)
                *last = row;
            if (!(last->is_context && !row.is_context))
                continue;
        }
        snap->opaques[kept++] = row;
    }
    snap->opaque_count = kept;
}

static uint32_t suspended_node_get(const struct crn_snap *snap, const struct crn_snap_coro *coro)
{
    struct crn_frame frame;
    const struct crn_coro *record = crn_coro_at(coro->id);
    (void)snap;
    if (coro->state != CRN_CORO_SUSPENDED || !record->recogniser->frame_get(record, &frame))
        return 0;
    return crn_stack_capture_still(&crn_tree, frame,
                                   (struct crn_stack_bounds){coro->stack_start, coro->stack_end});
}

void crn_build_coros(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    struct crn_snap *snap = builder->snap;
    if (!crn_coros.is_ready || snap->is_torn || crn_coros.stacks.item_count == 0)
        return;
    snap->suspended_node_get = suspended_node_get;
    size_t most = crn_coros.stacks.item_count;
    snap->coros = crn_arena_alloc(&snap->arena, most * sizeof *snap->coros);
    uint32_t *index_of = crn_arena_alloc(&snap->arena, crn_coros.records_made * sizeof *index_of);
    if (snap->coros == NULL || index_of == NULL)
        return;
    for (struct crn_ranges_item *item = crn_ranges_first_above(&crn_coros.stacks, 0); item != NULL;
         item = crn_ranges_first_above(&crn_coros.stacks, item->end)) {
        uint32_t id = (uint32_t)item->value;
        index_of[id] = (uint32_t)snap->coro_count + 1;
        coro_add(builder, crn_coro_at(id), id, (uint32_t)snap->coro_count++);
    }
    for (uint32_t i = 0; i < builder->stopped->count; i++)
        if (builder->stopped->threads[i].tid != 0)
            runner_note(snap, index_of,
                        (uintptr_t)builder->stopped->threads[i].context->uc_mcontext.gregs[REG_RSP]);
    runner_note(snap, index_of, crn_taker_sp(taker));
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        struct crn_coro_context area;
        const struct crn_thread *thread = crn_thread_at(i);
        if (thread->state != CRN_THREAD_FREE)
            contexts_add(builder, &area, crn_ucontext_area_get(&thread->left, false, &area), 0);
    }
}

void crn_build_opaques_finish(struct crn_snap *snap)
{
    crn_sort(snap->opaques, snap->opaque_count, sizeof *snap->opaques, opaque_less);
    opaques_tidy(snap);
}
