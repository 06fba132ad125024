/*
 * Coroutines that announced themselves, their locals, and watched objects.
 *
 * The frame of one is opaque memory like a stack: its words count as its body while it can be
 * resumed, and as leftovers when it has ended.  A frame that lies on some stack is part of that
 * stack; a coroutine that was announced and is known anyhow (a ucontext) is one coroutine.
 */
#include "snap/build.h"
#include "snap/registers.h"
#include "base/sort.h"
#include "coro/coro.h"
#include "coro/probe.h"

#include <string.h>

/* The stacks of the coroutines that are there already -> their indices.  Empty: no memory. */
static struct crn_intervals known_collect(struct crn_snap *snap)
{
    struct crn_intervals known = {
        .rows = crn_arena_alloc(&snap->arena, (snap->coro_count + 1) * sizeof *known.rows)};
    for (size_t i = 0; i < snap->coro_count && known.rows != NULL; i++)
        known.rows[known.count++] = (struct crn_interval){.start = snap->coros[i].stack_start,
                                                          .end = snap->coros[i].stack_end,
                                                          .value = (uint32_t)i};
    crn_intervals_seal(&known);
    return known;
}

/* Whether its cancellation is over, so that nothing will run it again. */
static bool is_cancelled(const struct crn_snap *snap, const struct crn_probe *probe)
{
    bool is_over = snap->occasion.is_end ||
                   (snap->occasion.is_scope_end &&
                    crn_scope_is_inside(probe->scope, snap->occasion.scope));
    return probe->is_cancelled &&
           (probe->state == CRN_CORO_SUSPENDED || probe->state == CRN_CORO_CREATED) &&
           ((probe->flags & CRN_PROBE_NO_HOOK) != 0 || is_over);
}

/* Whether it is in a reclaimer's hands, and its scope has not ended. */
static bool is_retired(const struct crn_snap *snap, const struct crn_probe *probe)
{
    if ((probe->flags & CRN_PROBE_RETIRED) == 0)
        return false;
    bool ends = snap->occasion.is_scope_end &&
                crn_scope_is_inside(probe->scope, snap->occasion.scope);
    return !ends && (probe->scope_handle == 0 || crn_scope_number(probe->scope_handle) != 0);
}

static uint32_t running_node_get(const struct crn_snap_builder *builder,
                                 const struct crn_taker *taker, int tid)
{
    const struct crn_thread *self = crn_self;
    struct crn_frame frame;
    const struct crn_interval *row = crn_intervals_find(&builder->standing, (uintptr_t)tid);
    if (row == NULL)
        return 0;
    const struct crn_thread *thread = crn_thread_at(row->value);
    if (thread->stack_span == 0)
        return 0;
    const struct crn_stopped *stopped = crn_build_stopped_find(builder, tid);
    const ucontext_t *context = stopped != NULL  ? stopped->context
                                : thread == self ? taker->interrupted
                                                 : NULL;
    if (context != NULL)
        frame = crn_registers_frame(context);
    else if (thread == self)
        frame = (struct crn_frame){taker->registers->pc, taker->registers->rsp,
                                   taker->registers->rbp, false};
    else
        return 0;
    if (frame.sp - thread->stack_start >= thread->stack_span)
        return 0;
    return crn_stack_capture_still(
        &crn_tree, frame,
        (struct crn_stack_bounds){thread->stack_start, thread->stack_start + thread->stack_span});
}

/* Is the memory of its frame still the one that was announced? */
static bool is_there(const struct crn_probe *probe)
{
    struct crn_block block;
    if (!crn_index_is_inside(&crn_heap.index, probe->start))
        return true;
    return crn_index_find(&crn_heap.index, probe->start, &block) &&
           crn_birth_of(&crn_heap, block.record) <= probe->born;
}

/* Whether its scope ends, or has. */
static bool scope_is_over(const struct crn_snap *snap, const struct crn_probe *probe)
{
    return (snap->occasion.is_scope_end &&
            crn_scope_is_inside(probe->scope, snap->occasion.scope)) ||
           (probe->scope_handle != 0 && crn_scope_number(probe->scope_handle) == 0);
}

static enum crn_coro_state state_of(const struct crn_snap *snap, const struct crn_probe *probe)
{
    return is_cancelled(snap, probe) ? CRN_CORO_CANCELLED : (enum crn_coro_state)probe->state;
}

/* After saying that it suspends it still calls the switch, which saves registers below. */
enum { SWITCH_BYTES = 1024 };

static void probe_add(struct crn_snap_builder *builder, const struct crn_taker *taker,
                      uint32_t number, const struct crn_intervals *known, bool is_nested,
                      uint32_t *index_of)
{
    struct crn_snap *snap = builder->snap;
    const struct crn_probe *probe = crn_probe_at(number);
    enum crn_coro_state state = state_of(snap, probe);
    uint32_t node =
        state == CRN_CORO_RUNNING ? running_node_get(builder, taker, probe->tid) : 0;
    bool may_be_known = known->count > 0 && crn_coro_find_locked(probe->start) != 0;
    const struct crn_interval *host = may_be_known ? crn_intervals_find(known, probe->start) : NULL;
    if (host != NULL) {
        struct crn_snap_coro *coro = &snap->coros[host->value];
        bool is_same = (probe->flags & CRN_PROBE_STACK) != 0;
        if (is_same) {
            coro->probe = number;
            coro->mechanism = CRN_MECHANISM_PROBE;
            coro->running_node = node;
            /* That it has ended was read from its code: what it says itself counts more. */
            if (coro->keeps_body)
                coro->state = CRN_CORO_SUSPENDED;
            coro->keeps_body = coro->never_goes_on = false;
            if (state == CRN_CORO_COMPLETED || state == CRN_CORO_CANCELLED)
                coro->state = (uint8_t)state;
            coro->is_root |= is_retired(snap, probe);
            coro->is_sure = true;
            index_of[number] = host->value + 1;
            return;
        }
    }
    bool is_part = host != NULL || is_nested ||
                   crn_intervals_find(&builder->stacks, probe->start) != NULL ||
                   probe->start == probe->end;
    bool is_live = is_part || state == CRN_CORO_RUNNING || is_retired(snap, probe);
    bool has_sp = probe->sp - probe->start < probe->end - probe->start;
    uintptr_t low = has_sp ? probe->sp : probe->start;
    low -= low - probe->start < SWITCH_BYTES ? low - probe->start : SWITCH_BYTES;
    uint32_t index = crn_build_coro(
        builder, (struct crn_snap_coro){
                     .id = number,
                     .born = probe->born,
                     .mechanism = CRN_MECHANISM_PROBE,
                     .state = (uint8_t)(is_retired(snap, probe) && state == CRN_CORO_COMPLETED
                                            ? CRN_CORO_SUSPENDED
                                            : state),
                     .is_root = is_live,
                     .is_exact = true,
                     .is_sure = true,
                     .keeps_result = probe->keeps_result && !scope_is_over(snap, probe),
                     .stack_start = is_part ? 0 : probe->start,
                     .stack_end = is_part ? 0 : probe->end,
                     .body_start = is_part ? 0 : low,
                     .body_end = is_part ? 0 : probe->end,
                     .created_node = probe->created_node,
                     .entry = (uintptr_t)probe->name,
                     .probe = number,
                     .running_node = node,
                 });
    if (index == UINT32_MAX)
        return;
    index_of[number] = index + 1;
    if (!is_part)
        crn_build_opaque(builder, (struct crn_opaque){probe->start, probe->end, index, false, false});
}

/* By start; of those that begin together the larger one first, and of equals the younger. */
static bool announced_less(const void *first, const void *second)
{
    const struct crn_announced *a = first, *b = second;
    if (a->start != b->start)
        return a->start < b->start;
    return a->end != b->end ? a->end > b->end : (int32_t)(a->order - b->order) > 0;
}

/*
 * Those whose frames are there.  One whose frame was freed without a word is noted: two checks
 * must see it, since the program may be between freeing the frame and saying so.
 */
static void announced_collect(struct crn_snap_builder *builder)
{
    const struct crn_snap *snap = builder->snap;
    for (uint32_t i = 1; i < crn_probes.made; i++) {
        struct crn_probe *probe = crn_probe_at(i);
        if ((probe->generation & 1) == 0)
            continue;
        if (is_there(probe)) {
            probe->fate = CRN_PROBE_IS_THERE;
            builder->announced[builder->announced_count++] =
                (struct crn_announced){probe->start, probe->end, i, probe->order};
        } else if (probe->fate == CRN_PROBE_WAS_FREED || snap->occasion.is_end) {
            probe->fate = CRN_PROBE_IS_GONE;
            crn_probes.gone_count++;
        } else {
            probe->fate = CRN_PROBE_WAS_FREED;
        }
    }
    crn_sort(builder->announced, builder->announced_count, sizeof *builder->announced,
             announced_less);
}

/* Adds them; a frame inside another's is part of that one. */
static void announced_add(struct crn_snap_builder *builder, const struct crn_taker *taker,
                          const struct crn_intervals *known, uint32_t *index_of)
{
    const struct crn_announced *before = NULL; /* the last one that is not part of another */
    for (size_t i = 0; i < builder->announced_count; i++) {
        const struct crn_announced *row = &builder->announced[i];
        bool is_nested = before != NULL && row->start < before->end;
        if (is_nested && row->start == before->start && row->end == before->end) {
            crn_probe_at(row->number)->fate = CRN_PROBE_IS_REPLACED;
            crn_probes.gone_count++;
            continue;
        }
        probe_add(builder, taker, row->number, known, is_nested, index_of);
        if (!is_nested)
            before = row;
    }
}

static bool local_less(const void *a, const void *b)
{
    return ((const struct crn_snap_local *)a)->slot < ((const struct crn_snap_local *)b)->slot;
}

static void locals_add(struct crn_snap *snap, const uint32_t *index_of)
{
    snap->locals = crn_arena_alloc(&snap->arena, crn_probes.locals_made * sizeof *snap->locals);
    for (uint32_t i = 1; i < crn_probes.locals_made && snap->locals != NULL; i++) {
        const struct crn_local *local = crn_local_at(i);
        if (local->slot != 0 && index_of[local->probe] != 0)
            snap->locals[snap->local_count++] = (struct crn_snap_local){
                local->slot, local->name, index_of[local->probe] - 1, local->is_done != 0};
    }
    crn_sort(snap->locals, snap->local_count, sizeof *snap->locals, local_less);
}

static void watches_add(struct crn_snap *snap)
{
    const struct crn_watch *rows = (const struct crn_watch *)crn_probes.watches.base;
    snap->watches = crn_arena_alloc(&snap->arena, crn_probes.watch_count * sizeof *snap->watches);
    for (uint32_t i = 0; i < crn_probes.watch_count && snap->watches != NULL; i++)
        if (rows[i].object != 0)
            snap->watches[snap->watch_count++] =
                (struct crn_snap_watch){rows[i].object, rows[i].why, rows[i].scope, i};
}

void crn_build_probes(struct crn_snap_builder *builder, const struct crn_taker *taker)
{
    struct crn_snap *snap = builder->snap;
    snap->has_ignored = crn_scopes.has_ignored;
    for (uint32_t i = 0; i < crn_scopes.root_count; i++)
        crn_build_root(builder, (struct crn_root){.start = crn_scopes.roots[i].start,
                                                  .end = crn_scopes.roots[i].end,
                                                  .kind = CRN_ROOT_REGION,
                                                  .step = 8,
                                                  .must_be_sparse = true});
    if (snap->is_torn)
        return;
    if (crn_probes.watch_count > 0)
        watches_add(snap);
    if (crn_probes.made <= 1)
        return;
    uint32_t *index_of = crn_arena_alloc(&snap->arena, crn_probes.made * sizeof *index_of);
    builder->announced =
        crn_arena_alloc(&snap->arena, crn_probes.made * sizeof *builder->announced);
    if (index_of == NULL || builder->announced == NULL)
        return;
    const struct crn_intervals known = known_collect(snap);
    announced_collect(builder);
    announced_add(builder, taker, &known, index_of);
    if (crn_probes.locals_made > 1)
        locals_add(snap, index_of);
}
