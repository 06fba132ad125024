/*
 * Chains.  See chains.h.
 */
#include "check/chains.h"
#include "check/coros.h"
#include "mark/spare.h"

enum { CHAINS_MAX = 1024 };

/* Where in its stack or frame a word of a coroutine lies; 0: elsewhere. */
static uint64_t offset_in_coro(const struct crn_snap *snap, uint32_t number, uintptr_t address)
{
    if (number < snap->coro_count) {
        const struct crn_snap_coro *coro = &snap->coros[number];
        uintptr_t in_stack = address - coro->stack_start;
        return in_stack < coro->stack_end - coro->stack_start ? in_stack : 0;
    }
    const struct crn_snap_frame *frame = &snap->frames[number - snap->coro_count];
    return address > frame->start + frame->offset ? address - frame->start - frame->offset : 0;
}

static void chain_link_add(struct crn_chains *chains, struct crn_draft *draft, size_t group,
                           struct crn_record_link link)
{
    uint32_t row = crn_draft_link(draft, &link);
    if (chains->counts[group]++ == 0)
        chains->first[group] = row;
}

/* The name of the local that lies at an address of a coroutine; 0: none is named there. */
static uint32_t local_name(struct crn_draft *draft, const struct crn_snap *snap, uintptr_t address)
{
    const struct crn_snap_local *local = crn_local_find(snap, address);
    return local != NULL && local->name != NULL ? crn_draft_string(draft, local->name) : 0;
}

struct crn_record_link crn_step_link(struct crn_draft *draft, const struct crn_mark *mark,
                                     const struct crn_chain_step *step)
{
    const struct crn_snap *snap = mark->snap;
    struct crn_record_link link = {.address = step->address, .skipped = step->skipped};
    if (step->root != 0) {
        const struct crn_root *root = &snap->roots[step->root - 1];
        link.kind = CRN_LINK_ROOT;
        link.root = root->kind;
        link.name = root->name != 0 ? crn_draft_string(draft, snap->names + root->name) : 0;
    } else if (step->coro != 0) {
        link.kind = CRN_LINK_CORO;
        link.coro = crn_link_coro_add(draft, snap, step->coro - 1);
        link.offset = offset_in_coro(snap, step->coro - 1, step->address);
        link.name = local_name(draft, snap, step->address);
    } else {
        struct crn_block block;
        link.kind = CRN_LINK_BLOCK;
        link.offset = step->address - step->block;
        if (crn_index_find(&snap->heap->index, step->block, &block)) {
            link.bytes = block.size;
            link.alloc_node = crn_draft_node(draft, block.record->stack);
        }
    }
    return link;
}

/* The end of every chain: the dead coroutine, and the block it holds. */
static void chain_end_add(struct crn_chains *chains, const struct crn_mark *mark,
                          struct crn_draft *draft, const uint32_t *holder_rows, size_t index)
{
    const struct crn_group *group = &mark->groups[index];
    struct crn_block block = {.size = 0};
    crn_index_find(&mark->snap->heap->index, group->example, &block);
    chain_link_add(
        chains, draft, index,
        (struct crn_record_link){
            .kind = CRN_LINK_CORO,
            .coro = holder_rows[group->holder - 1],
            .address = group->example_word,
            .name = local_name(draft, mark->snap, group->example_word),
            .offset = offset_in_coro(mark->snap, group->example_coro - 1, group->example_word)});
    chain_link_add(
        chains, draft, index,
        (struct crn_record_link){.kind = CRN_LINK_LEAK,
                                 .address = group->example,
                                 .bytes = block.size,
                                 .alloc_node = crn_draft_node(draft, group->alloc_node)});
}

/* Whether something live leads to what holds it; the chain of an abandoned one starts there. */
static bool has_chain(const struct crn_group *group)
{
    return group->verdict == CRN_VERDICT_COMPLETED || group->verdict == CRN_VERDICT_CANCELLED;
}

/* Whether an address is a thread's variable: those lie right below its descriptor. */
static bool is_thread_local(const struct crn_root *root, uintptr_t address)
{
    enum { STATIC_TLS_MAX = 64 * 1024 };
    for (uint32_t i = 0, count = crn_threads_count(); i < count; i++) {
        uintptr_t descriptor = crn_thread_at(i)->descriptor;
        if (descriptor > root->start && descriptor <= root->end &&
            descriptor - address <= STATIC_TLS_MAX)
            return true;
    }
    return false;
}

/* Of a block that lost its holder: the container that was it, and the memory of its elements. */
static void former_add(struct crn_chains *chains, const struct crn_mark *mark,
                       struct crn_draft *draft, size_t index)
{
    const struct crn_snap *snap = mark->snap;
    const struct crn_spare *spare = &mark->earlier->spares[mark->groups[index].spare - 1];
    for (size_t i = 0; i < snap->root_count; i++) {
        const struct crn_root *root = &snap->roots[i];
        if (spare->container < root->start || spare->container >= root->end)
            continue;
        chain_link_add(
            chains, draft, index,
            (struct crn_record_link){
                .kind = CRN_LINK_ROOT,
                .root = is_thread_local(root, spare->container) ? CRN_ROOT_TLS : root->kind,
                .name = root->name != 0 ? crn_draft_string(draft, snap->names + root->name) : 0,
                .address = spare->container});
        break;
    }
    chain_link_add(
        chains, draft, index,
        (struct crn_record_link){.kind = CRN_LINK_BLOCK,
                                 .address = spare->buffer,
                                 .bytes = spare->buffer_bytes,
                                 .alloc_node = crn_draft_node(draft, spare->buffer_node)});
}

/* Of what a thread's dead word holds: where that lies, and the block. */
static void dead_word_add(struct crn_chains *chains, const struct crn_mark *mark,
                          struct crn_draft *draft, size_t index)
{
    const struct crn_group *group = &mark->groups[index];
    const struct crn_snap *snap = mark->snap;
    struct crn_block block = {.size = 0};
    crn_index_find(&snap->heap->index, group->example, &block);
    for (size_t i = 0; i < snap->root_count; i++) {
        const struct crn_root *root = &snap->roots[i];
        if (group->example_word < root->start || group->example_word >= root->end ||
            (root->kind != CRN_ROOT_STACK && root->kind != CRN_ROOT_REGISTER))
            continue;
        chain_link_add(
            chains, draft, index,
            (struct crn_record_link){
                .kind = CRN_LINK_ROOT,
                .root = root->kind,
                .name = root->name != 0 ? crn_draft_string(draft, snap->names + root->name) : 0,
                .address = group->example_word});
        break;
    }
    chain_link_add(
        chains, draft, index,
        (struct crn_record_link){.kind = CRN_LINK_LEAK,
                                 .address = group->example,
                                 .bytes = block.size,
                                 .alloc_node = crn_draft_node(draft, group->alloc_node)});
}

void crn_chains_add(struct crn_chains *chains, struct crn_mark *mark, struct crn_draft *draft,
                    const uint32_t *holder_rows)
{
    uint32_t *coros = crn_arena_alloc(&mark->arena, CHAINS_MAX * sizeof *coros);
    unsigned *step_counts = crn_arena_alloc(&mark->arena, CHAINS_MAX * sizeof *step_counts);
    struct crn_chain_step(*steps)[CRN_CHAIN_STEPS_MAX] = NULL;
    size_t wanted = 0;
    for (size_t i = 0; i < mark->group_count && wanted < CHAINS_MAX && coros != NULL; i++)
        if (has_chain(&mark->groups[i]))
            coros[wanted++] = mark->groups[i].example_coro - 1;
    if (wanted > 0 && step_counts != NULL &&
        (steps = crn_arena_alloc(&mark->arena, wanted * sizeof *steps)) != NULL)
        crn_mark_trace(mark, coros, wanted, steps, step_counts);
    for (size_t i = 0, traced = 0; i < mark->group_count; i++) {
        if (mark->groups[i].spare != 0)
            former_add(chains, mark, draft, i);
        if (mark->groups[i].holder == 0 && mark->groups[i].place != 0)
            dead_word_add(chains, mark, draft, i);
        if (mark->groups[i].holder == 0)
            continue;
        if (has_chain(&mark->groups[i]) && traced < wanted) {
            for (unsigned step = 0; steps != NULL && step < step_counts[traced]; step++)
                chain_link_add(chains, draft, i, crn_step_link(draft, mark, &steps[traced][step]));
            traced++;
        }
        chain_end_add(chains, mark, draft, holder_rows, i);
    }
}
