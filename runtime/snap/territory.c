/*
 * What the places that were found in one territory say: which coroutines there are, where their
 * stacks lie, what of them is a body.
 *
 *     low end                                                                      territory's end
 *      | owner's data, a zone | dead | sp … frames | base … | dead | sp … frames | base … |
 *      |------------- the lower one's stack ---------------|----- the upper one's --------|
 *
 * The highest is told first: where its live frames begin, nobody else's can reach.
 */
#include "snap/build.h"
#include "coro/boost.h"
#include "coro/flow.h"
#include "coro/parked.h"
#include "snap/residue.h"

static struct crn_stack_bounds bounds_of(const struct crn_territory *territory)
{
    return (struct crn_stack_bounds){territory->start, territory->end};
}

/* Where the memory of a stack was allocated: the closest we come to where it was created. */
static uint32_t created_node_of(const struct crn_territory *territory, uintptr_t sp)
{
    struct crn_block block;
    const struct crn_coro *coro = territory->id != 0 ? crn_coro_at(territory->id) : NULL;
    if (coro != NULL && coro->created_node != 0)
        return coro->created_node;
    return crn_index_find(&crn_heap.index, sp, &block) ? block.record->stack : 0;
}

/*
 * A territory of which we know nothing better: live, all of it.  Of an announced coroutine we know
 * that it is suspended, and where it could be reached.
 */
static void unknown_add(struct crn_snap_builder *builder, const struct crn_territory *territory)
{
    bool is_running = territory->running_sp != 0;
    const struct crn_coro *coro = crn_coro_at(territory->id);
    struct crn_coro_context contexts[4];
    struct crn_coro_body body = {.word_count = 0};
    struct crn_frame stopped = {0, 0, 0, false};
    if (territory->id == 0)
        return; /* only mapped for stacks: it stays ordinary memory, hence live */
    bool is_exact = is_running && territory->is_whole_stack;
    bool is_announced = coro->mechanism == CRN_MECHANISM_ANNOTATED && !is_running &&
                        coro->state == CRN_CORO_SUSPENDED && coro->saved.sp != 0;
    if (is_announced) {
        coro->kind->body_get(coro, &body);
        coro->kind->frame_get(coro, &stopped);
    }
    uint32_t index = crn_build_coro(
        builder, (struct crn_snap_coro){
                     .id = territory->id,
                     .mechanism = coro->mechanism,
                     .state = is_running ? CRN_CORO_RUNNING
                                         : (coro->state == CRN_CORO_RUNNING ? CRN_CORO_SUSPENDED
                                                                            : coro->state),
                     .is_root = !is_announced,
                     .is_exact = is_exact,
                     .is_sure = coro->kind->is_completion_exact,
                     .stack_start = territory->start,
                     .stack_end = territory->end,
                     .body_start = is_exact ? territory->running_sp : territory->start,
                     .body_end = territory->end,
                     .first_word = crn_build_words(builder, body.words, body.word_count),
                     .word_count = body.word_count,
                     .created_node = coro->created_node,
                     .born = coro->born,
                     .entry = coro->entry,
                     .stopped = stopped,
                 });
    if (index == UINT32_MAX)
        return;
    crn_build_opaque(builder,
                     (struct crn_opaque){territory->start, territory->end, index, false, false});
    for (unsigned i = 0, count = coro->kind->contexts_get(coro, contexts); i < count; i++)
        crn_build_opaque(builder, (struct crn_opaque){contexts[i].start, contexts[i].end,
                                                              index, true, is_announced});
}

/* The stack in a territory that runs, when only part of the territory is that stack. */
static void running_add(struct crn_snap_builder *builder, const struct crn_territory *territory,
                        uintptr_t low)
{
    uint32_t index =
        crn_build_coro(builder, (struct crn_snap_coro){.id = territory->id,
                                                       .mechanism = CRN_MECHANISM_STACK,
                                                       .state = CRN_CORO_RUNNING,
                                                       .is_root = true,
                                                       .is_exact = true,
                                                       .stack_start = low,
                                                       .stack_end = territory->running_base,
                                                       .zone_start = low,
                                                       .zone_end = territory->running_sp,
                                                       .body_start = territory->running_sp,
                                                       .body_end = territory->running_base});
    if (index != UINT32_MAX)
        crn_build_opaque(builder,
                         (struct crn_opaque){low, territory->running_base, index, false, false});
}

/*
 * Where the stack of a parked coroutine lies.  On memory that was mapped for it, what lies above
 * the entry's frame on the same page is its own too: a control block, that is no root.  In a heap
 * block that is ordinary heap, and so it is once the coroutine has ended.  `is_told`: somebody said
 * where it begins, so nobody else is parked there.
 */
static struct crn_range extent_of(const struct crn_territory *territory,
                                  const struct crn_place *place, uintptr_t low, bool has_ended,
                                  bool *is_told)
{
    struct crn_block block;
    struct crn_range extent = {low, place->base}, stack;
    *is_told = territory->is_whole_stack;
    if (territory->is_whole_stack)
        return extent;
    bool is_boost = place->mechanism == CRN_MECHANISM_FCONTEXT &&
                    crn_boost_stack_find(place->base, bounds_of(territory), &stack);
    *is_told = is_boost && stack.start <= place->sp;
    if (*is_told)
        extent.start = stack.start;
    if (has_ended || crn_index_find(&crn_heap.index, place->sp, &block))
        return extent;
    uintptr_t end = crn_align_up(place->base, CRN_PAGE_BYTES);
    if (is_boost && stack.end > end)
        end = stack.end;
    extent.end = end < territory->end ? end : territory->end;
    return extent;
}

/* Where a frame would go on: remembered, since most coroutines of a program wait in a few places.
 */
static const struct crn_flow_row *flow_get(struct crn_snap_builder *builder, uintptr_t pc)
{
    const struct crn_code *code = &builder->snap->code;
    struct crn_flow_row *row = &builder->flows[crn_hash64(pc) % CRN_COUNT_OF(builder->flows)];
    if (row->return_address != pc)
        *row = (struct crn_flow_row){pc, crn_flow_returns(code, pc), crn_flow_has_ended(code, pc),
                                     crn_flow_never_returns(code, pc)};
    return row;
}

/* Whether a coroutine's entry has returned: what switched away returns at once to a trampoline. */
static bool entry_has_returned(struct crn_snap_builder *builder,
                               const struct crn_territory *territory, const struct crn_place *place)
{
    enum { WRAPPERS_MOST = 4 };
    struct crn_frame frame = {place->pc, place->frame_sp, place->bp, false};
    if (place->quality != CRN_BASE_PROPER)
        return false;
    for (unsigned i = 0; i <= WRAPPERS_MOST; i++) {
        const struct crn_flow_row *flow = flow_get(builder, frame.pc);
        uintptr_t slot, bp_slot;
        bool is_outermost = !crn_frame_step(&frame, bounds_of(territory), false, &slot, &bp_slot) ||
                            frame.sp >= place->base ||
                            !crn_code_follows_call(&builder->snap->code, frame.pc);
        /* State Threads' has a frame of its creator's around it, which it never returns to. */
        if (is_outermost || !flow->returns)
            return flow->has_ended && (is_outermost || flow_get(builder, frame.pc)->never_goes_on);
    }
    return false;
}

/*
 * The places [first, end) of one base: one coroutine.  `low`: its stack reaches no lower.
 * `has_zone`: data of its owner may lie at the low end, and counts while the coroutine lives.
 * Answers where its stack begins as far as that is certain.
 */
static uintptr_t group_add(struct crn_snap_builder *builder, const struct crn_territory *territory,
                           const struct crn_place *places, size_t first, size_t end, uintptr_t low,
                           uint32_t id, bool has_zone)
{
    size_t at = first;
    while (at < end && !places[at].is_held)
        at++;
    const struct crn_place *guessed = &places[at < end ? at : first];
    struct crn_range told;
    if (territory->is_guessed &&
        (guessed->quality != CRN_BASE_PROPER ||
         (at == end && !crn_boost_stack_find(guessed->base, bounds_of(territory), &told))))
        return places[first].base; /* a copy of a stack, perhaps */
    /* A jmp_buf tells for sure only of a stack that was left by no other switch further in. */
    bool is_mixed = at < end && at > first && places[at].mechanism == CRN_MECHANISM_SETJMP &&
                    places[first].mechanism != CRN_MECHANISM_SETJMP;
    if (is_mixed)
        at = end;
    const struct crn_place *place = &places[at < end ? at : first];
    const struct crn_coro *coro = crn_coro_at(territory->id);
    bool has_registers = place->area_end != 0;
    bool has_ended = crn_boost_has_ended(place->pc);
    bool is_found = at < end || end - first == 1;
    enum crn_ending ending =
        !has_ended && is_found && place->quality == CRN_BASE_PROPER
            ? crn_ending_find(builder->endings, &builder->snap->code,
                              (struct crn_frame){place->pc, place->frame_sp, place->bp, false},
                              (struct crn_stack_bounds){territory->start, place->base})
            : CRN_ENDING_NONE;
    bool waits =
        !has_ended && (ending != CRN_ENDING_NONE || entry_has_returned(builder, territory, place));
    bool is_told;
    struct crn_range extent = extent_of(territory, place, low, has_ended, &is_told);
    struct crn_snap_coro row = {
        .id = id,
        .mechanism = place->mechanism,
        .state = has_ended || waits ? CRN_CORO_COMPLETED : CRN_CORO_SUSPENDED,
        .keeps_body = waits,
        .never_goes_on = ending == CRN_ENDING_OVER,
        .is_exact = true,
        .is_sure = place->quality == CRN_BASE_PROPER && is_found,
        .stack_start = extent.start,
        .stack_end = extent.end,
        .body_start = place->sp,
        .body_end = extent.end,
        .first_word = crn_build_words(builder, place->registers, has_registers ? 6 : 0),
        .word_count = has_registers ? 6 : 0,
        .created_node = created_node_of(territory, place->sp),
        .entry = territory->id != 0 && coro->entry != 0 ? coro->entry : place->entry,
    };
    if (has_zone && !is_told && low < places[first].sp) {
        row.zone_start = low;
        row.zone_end = crn_residue_start(builder->snap, low, places[first].sp);
    }
    row.stopped = (struct crn_frame){place->pc, place->frame_sp, place->bp, false};
    uint32_t index = crn_build_coro(builder, row);
    if (index == UINT32_MAX)
        return extent.start;
    crn_build_opaque(builder,
                     (struct crn_opaque){extent.start, extent.end, index, false, false});
    uintptr_t link = crn_boost_link_find(place->base, place->sp, bounds_of(territory));
    if (link != 0)
        crn_build_link(builder, link);
    for (size_t i = first; i < end; i++)
        if (places[i].area_end != 0)
            crn_build_opaque(builder, (struct crn_opaque){places[i].area_start, places[i].area_end,
                                                          index, true, true});
    return is_told || territory->has_floor ? extent.start : places[first].sp;
}

/*
 * The base of the next coroutine below the places from `start` on: 0 when there is none.  A place
 * with its base among the frames of this one is what those popped before, and so is one below them
 * that nobody holds.
 */
static uintptr_t neighbour_base(const struct crn_place *places, size_t start)
{
    uintptr_t lowest = places[start].sp;
    for (size_t i = start; i > 0; i--)
        if (places[i - 1].base <= lowest && places[i - 1].is_held)
            return places[i - 1].base;
    return 0;
}

/* From the highest base down. */
void crn_build_territory(struct crn_snap_builder *builder, const struct crn_territory *territory,
                         const struct crn_place *places, size_t count)
{
    size_t end = count; /* places [0, end) are left */
    /* Another stack's frames cannot enclose those that run: their base was not found, then. */
    bool is_opaque = territory->is_opaque;
    for (size_t i = 0; i < end && territory->running_sp != 0; i++)
        is_opaque |= places[i].base > territory->running_base &&
                     places[i].sp < territory->running_base;
    if (is_opaque || (territory->is_whole_stack && territory->running_sp != 0) ||
        (end == 0 && territory->running_sp == 0)) {
        unknown_add(builder, territory);
        return;
    }
    uintptr_t covered = UINTPTR_MAX; /* live frames of a coroutine above begin here */
    bool has_run = territory->running_sp == 0;
    while (end > 0 || !has_run) {
        size_t start = end;
        uintptr_t base = end > 0 ? places[end - 1].base : 0;
        while (start > 0 && places[start - 1].base == base)
            start--;
        uintptr_t next = start < end ? neighbour_base(places, start) : 0;
        if (!has_run && territory->running_base >= base) {
            has_run = true;
            uintptr_t low = territory->has_floor && base < territory->running_sp
                                ? (base > territory->start ? base : territory->start)
                                : territory->running_sp;
            running_add(builder, territory, low);
            covered = territory->running_sp;
            if (territory->running_base == base)
                end = start;
            continue;
        }
        bool is_believed = covered == UINTPTR_MAX; /* below another stack: only what is held */
        for (size_t i = start; i < end; i++)
            is_believed |= places[i].is_held;
        if (base <= covered && is_believed) {
            uintptr_t lowest = places[start].sp;
            uintptr_t low = lowest;
            bool is_stack = territory->is_whole_stack || (territory->has_floor && next < lowest);
            bool is_zone = territory->is_one_mapping && next < lowest && !is_stack;
            uintptr_t bottom = next > territory->start ? next : territory->start;
            bool is_single = end == count && territory->running_sp == 0 && next == 0;
            if (is_stack || is_zone)
                low = bottom;
            else if (is_single) /* below what popped frames left it is ordinary memory */
                low = crn_residue_start(builder->snap, bottom, lowest);
            covered = group_add(builder, territory, places, start, end, low,
                                is_single ? territory->id : 0,
                                !territory->is_whole_stack && (is_stack || is_zone));
        }
        end = start;
    }
}
