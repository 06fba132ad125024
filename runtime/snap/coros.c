/*
 * Coroutines of the live process, as the mark wants them.
 *
 * What the registry noted is checked against where threads really are: a coroutine runs if some
 * thread's sp is on its stack.  One that was noted as running but has nobody on it was left by a
 * switch we did not see, or is being switched to right now: unknown, hence live.
 */
#include "snap/build.h"
#include "coro/boost.h"
#include "snap/readable.h"
#include "snap/registers.h"
#include "base/sort.h"

#include <string.h>

/* `low`: the lowest address of the running stack that counts; a red zone may reach below sp. */
static void runner_note(struct crn_snap *snap, const uint32_t *index_of, uintptr_t sp,
                        uintptr_t low)
{
    uint32_t id = crn_coro_find_locked(sp);
    if (id == 0 || index_of[id] == 0)
        return;
    struct crn_snap_coro *coro = &snap->coros[index_of[id] - 1];
    if (coro->state == CRN_CORO_RUNNING && coro->body_start <= sp && coro->is_exact)
        return;
    coro->state = CRN_CORO_RUNNING;
    coro->is_root = true;
    coro->is_exact = true;
    coro->body_start = low > coro->stack_start ? low : coro->stack_start;
    coro->body_end = coro->stack_end;
    coro->word_count = 0;
    coro->keeps_body = coro->never_goes_on = false;
}

static void interrupted_note(struct crn_snap *snap, const uint32_t *index_of,
                             const ucontext_t *context)
{
    runner_note(snap, index_of, (uintptr_t)context->uc_mcontext.gregs[REG_RSP],
                crn_registers_low(context));
}

static void contexts_add(struct crn_snap_builder *builder, const struct crn_coro_context *contexts,
                         unsigned count, uint32_t index)
{
    for (unsigned i = 0; i < count; i++)
        crn_build_opaque(builder, (struct crn_opaque){contexts[i].start, contexts[i].end, index,
                                                      true, contexts[i].is_handle});
}

/* Whether it was left by a switch that we did not see, so that its sp is not known. */
static bool is_loose(const struct crn_coro *coro)
{
    return (coro->flags & CRN_CORO_LOOSE) != 0 || coro->state == CRN_CORO_RUNNING ||
           coro->mechanism == CRN_MECHANISM_STACK;
}

static void coro_add(struct crn_snap_builder *builder, const struct crn_coro *coro, uint32_t id)
{
    struct crn_coro_context contexts[4];
    struct crn_coro_body body;
    struct crn_frame stopped = {0, 0, 0, false};
    coro->kind->body_get(coro, &body);
    if (coro->state == CRN_CORO_SUSPENDED)
        coro->kind->frame_get(coro, &stopped);
    enum crn_ending ending =
        body.is_exact
            ? crn_ending_find(builder->endings, &builder->snap->code, stopped,
                              (struct crn_stack_bounds){
                                  coro->stack_start,
                                  crn_readable_end(builder->snap, stopped.sp, coro->stack_end)})
            : CRN_ENDING_NONE;
    uint32_t index = crn_build_coro(
        builder, (struct crn_snap_coro){
                     .id = id,
                     .mechanism = coro->mechanism,
                     .state = ending != CRN_ENDING_NONE ? CRN_CORO_COMPLETED : coro->state,
                     .keeps_body = ending != CRN_ENDING_NONE,
                     .never_goes_on = ending == CRN_ENDING_OVER,
                     .is_exact = body.is_exact,
                     .is_sure = coro->kind->is_completion_exact,
                     .stack_start = coro->stack_start,
                     .stack_end = coro->stack_end,
                     .body_start = body.start,
                     .body_end = body.end,
                     .first_word = crn_build_words(builder, body.words, body.word_count),
                     .word_count = body.word_count,
                     .created_node = coro->created_node,
                     .born = coro->born,
                     .entry = coro->entry,
                     .stopped = stopped,
                 });
    if (index == UINT32_MAX)
        return;
    crn_build_opaque(builder, (struct crn_opaque){coro->stack_start, coro->stack_end, index, false,
                                                  false});
    contexts_add(builder, contexts, coro->kind->contexts_get(coro, contexts), index);
}

/* By start; a context before the stack it begins. */
static bool opaque_less(const void *a, const void *b)
{
    const struct crn_opaque *x = a, *y = b;
    return x->start != y->start ? x->start < y->start : x->is_context > y->is_context;
}

/*
 * Areas inside a stack are read as part of a body or not at all; equal ones are one handle.  What
 * jmp_bufs hold is hidden from whoever reads a body: one on another's stack is a handle all the
 * same.
 * Where the frames of two stacks led to places on one page, the lower one has it.
 */
static void opaques_tidy(struct crn_snap *snap)
{
    size_t kept = 0;
    for (size_t i = 0; i < snap->opaque_count; i++) {
        struct crn_opaque row = snap->opaques[i];
        struct crn_opaque *last = kept > 0 ? &snap->opaques[kept - 1] : NULL;
        if (last != NULL && row.start < last->end) {
            if (last->is_context && row.is_context && row.is_handle && !last->is_handle)
                *last = row;
            else if (!last->is_context && row.is_handle && row.coro != last->coro &&
                     snap->coros[row.coro].mechanism == CRN_MECHANISM_SETJMP)
                snap->coros[row.coro].is_root = true;
            if (!last->is_context && !row.is_context) {
                row.start = last->end;
                if (row.start >= row.end) { /* nothing could reach it any more */
                    snap->coros[row.coro].is_root = true;
                    continue;
                }
            } else if (!(last->is_context && !row.is_context)) {
                continue;
            }
        }
        snap->opaques[kept++] = row;
    }
    snap->opaque_count = kept;
}

/* Of a stack that cannot be read from some frame on, those below; of one that cannot, the function.
 */
static uint32_t suspended_node_get(const struct crn_snap *snap, const struct crn_snap_coro *coro)
{
    if (coro->state != CRN_CORO_SUSPENDED || coro->stopped.pc == 0)
        return 0;
    uintptr_t end = crn_readable_end(snap, coro->stopped.sp, coro->stack_end);
    return crn_stack_capture_still(&crn_tree, coro->stopped,
                                   (struct crn_stack_bounds){coro->stack_start, end});
}

struct territory_list {
    struct crn_territory *rows;
    size_t count, room;
};

static void territory_add(struct territory_list *list, struct crn_territory territory)
{
    if (territory.start < territory.end && list->count < list->room)
        list->rows[list->count++] = territory;
}

/* Adds a range as one territory for each part of it between guard pages. */
static void parts_add(struct territory_list *list, const struct crn_snap *snap,
                      struct crn_territory whole)
{
    struct crn_territory part = whole;
    for (size_t at = crn_unreadable_above(snap, whole.start); part.start < whole.end; at++) {
        bool is_last = at >= snap->unreadable_count || snap->unreadable[at].start >= whole.end;
        part.end = is_last ? whole.end : snap->unreadable[at].start;
        territory_add(list, part);
        part.start = is_last ? whole.end : snap->unreadable[at].end;
        part.has_floor = !is_last && !snap->unreadable[at].is_accessible;
        if (part.end > whole.start)
            part.id = 0;
    }
}

/* Memory mapped for stacks on which nothing allocated yet. */
static void mapped_add(const struct crn_snap_builder *builder, struct territory_list *list)
{
    const struct crn_snap *snap = builder->snap;
    for (struct crn_ranges_item *item = crn_ranges_first_above(&crn_coros.mapped, 0); item != NULL;
         item = crn_ranges_first_above(&crn_coros.mapped, item->end)) {
        size_t first = list->count, kept = list->count;
        if (item->value == CRN_MAPPED_FOR_STACK)
            parts_add(list, snap, (struct crn_territory){.start = item->start, .end = item->end,
                                                         .has_floor = true});
        for (size_t i = first; i < list->count; i++) {
            struct crn_territory part = list->rows[i];
            struct crn_ranges_item *known = crn_ranges_first_above(&crn_coros.stacks, part.start);
            if ((known == NULL || known->start >= part.end) &&
                !crn_intervals_overlap(&builder->stacks, part.start, part.end))
                list->rows[kept++] = part;
        }
        list->count = kept;
    }
}

void crn_build_coros(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    struct crn_snap *snap = builder->snap;
    if (!crn_coros.is_ready || snap->is_torn ||
        (crn_coros.stacks.item_count + crn_coros.mapped.item_count == 0 && !crn_boost_is_loaded()))
        return;
    snap->suspended_node_get = suspended_node_get;
    struct territory_list loose = {
        .room = 2 * (crn_coros.stacks.item_count + crn_coros.mapped.item_count +
                     snap->unreadable_count)};
    loose.rows = crn_arena_alloc(&snap->arena, loose.room * sizeof *loose.rows);
    uint32_t *index_of = crn_arena_alloc(&snap->arena, crn_coros.records_made * sizeof *index_of);
    if (loose.rows == NULL || index_of == NULL)
        return;
    builder->endings = crn_endings_create();
    for (struct crn_ranges_item *item = crn_ranges_first_above(&crn_coros.stacks, 0); item != NULL;
         item = crn_ranges_first_above(&crn_coros.stacks, item->end)) {
        uint32_t id = (uint32_t)item->value;
        const struct crn_coro *coro = crn_coro_at(id);
        if (is_loose(coro)) {
            struct crn_territory territory = {.start = coro->stack_start,
                                              .end = coro->stack_end,
                                              .id = id,
                                              .has_floor = crn_has_guard_below(snap, coro->stack_start),
                                              .is_one_mapping =
                                                  (coro->flags & CRN_CORO_NO_MERGE) != 0};
            territory.is_whole_stack = coro->mechanism != CRN_MECHANISM_STACK ||
                                       (coro->flags & CRN_CORO_WHOLE) != 0;
            if (territory.is_whole_stack)
                territory_add(&loose, territory);
            else
                parts_add(&loose, snap, territory);
        } else {
            index_of[id] = (uint32_t)snap->coro_count + 1;
            coro_add(builder, coro, id);
        }
    }
    for (uint32_t i = 0; i < builder->stopped_count; i++)
        interrupted_note(snap, index_of, builder->stopped[i].context);
    if (taker->interrupted != NULL)
        interrupted_note(snap, index_of, taker->interrupted);
    else if (taker->registers != NULL)
        runner_note(snap, index_of, taker->registers->rsp, taker->registers->rsp);
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        struct crn_coro_context area;
        struct crn_frame left;
        const struct crn_thread *thread = crn_thread_at(i);
        if (crn_scratch_frame(thread, &left))
            runner_note(snap, index_of, left.sp, crn_red_zone_start(left.sp, 0));
        if (thread->state != CRN_THREAD_FREE)
            contexts_add(builder, &area, crn_ucontext_area_get(&thread->left, false, &area), 0);
    }
    mapped_add(builder, &loose);
    crn_build_parked(builder, taker, loose.rows, loose.count);
    crn_endings_destroy(builder->endings);
    builder->endings = NULL;
}

static bool link_less(const void *a, const void *b)
{
    return *(const uintptr_t *)a < *(const uintptr_t *)b;
}

void crn_build_opaques_finish(struct crn_snap *snap)
{
    crn_sort(snap->links, snap->link_count, sizeof *snap->links, link_less);
    crn_sort(snap->opaques, snap->opaque_count, sizeof *snap->opaques, opaque_less);
    opaques_tidy(snap);
}
