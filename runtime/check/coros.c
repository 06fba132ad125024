/*
 * Coroutines as rows of the recording.  See coros.h.
 */
#include "check/coros.h"
#include "base/pages.h"
#include "check/ages.h"
#include "coro/probe.h"
#include "mark/retained.h"

enum { KINDS_MAX = 1 << 16 };

/* Living coroutines alike. */
struct kind {
    struct crn_holder holder;
    uint64_t touched_bytes;
    struct crn_ages ages;
};

/* Kinds in the order they were met, found by a hash; more than fit are counted. */
struct kinds {
    struct kind *rows;
    uint32_t *slots; /* open addressing over twice as many: row + 1 */
    uint32_t count, left_out;
};

static uint32_t row_add(struct crn_draft *draft, const struct crn_snap *snap,
                        const struct crn_holder *holder, uint64_t touched_bytes,
                        struct crn_ages *ages)
{
    struct crn_record_coro row = {
        .mechanism = holder->mechanism,
        .state = holder->state,
        .entry = holder->entry,
        .created_node = crn_draft_node(draft, holder->created_node),
        .suspended_node = crn_draft_node(draft, holder->suspended_node),
        .count = holder->count,
        .stack_bytes = holder->stack_bytes,
        .touched_bytes = touched_bytes,
        .retained_bytes = holder->retained_bytes,
        .ages = crn_ages_get(ages, snap->heap),
    };
    if (holder->example_coro < snap->coro_count) {
        const struct crn_snap_coro *coro = &snap->coros[holder->example_coro];
        row.id = coro->id;
        if (coro->probe != 0 && crn_probe_at(coro->probe)->name != NULL) {
            row.name = crn_draft_string(draft, crn_probe_at(coro->probe)->name);
            row.entry = 0; /* told alike ones apart by the address of their name */
        }
    }
    return crn_draft_coro(draft, &row) + 1;
}

static void age_note(struct crn_ages *ages, const struct crn_holder *one)
{
    if (one->born != 0)
        crn_ages_note(ages, one->born);
}

uint32_t crn_link_coro_add(struct crn_draft *draft, const struct crn_snap *snap, uint32_t number)
{
    struct crn_holder holder = crn_coro_describe(snap, number);
    struct crn_ages ages = {0};
    age_note(&ages, &holder);
    holder.count = 0;
    holder.retained_bytes = UINT64_MAX;
    return row_add(draft, snap, &holder, UINT64_MAX, &ages);
}

static void pages_add(uintptr_t start, uintptr_t end, void *user)
{
    *(uint64_t *)user += end - start;
}

/* The touched part of a stack; a frame's is all of it. */
static uint64_t touched_bytes(const struct crn_snap *snap, uint32_t number, uint64_t frame_bytes)
{
    uint64_t bytes = 0;
    if (number >= snap->coro_count)
        return frame_bytes;
    crn_pages_for_each(snap->coros[number].stack_start, snap->coros[number].stack_end, false,
                       pages_add, &bytes);
    return bytes;
}

/* Frames are counted where they are met as suspects: their sizes need no second look. */
static void dead_touched_add(const struct crn_mark *mark, uint64_t *touched, bool is_list)
{
    for (size_t i = 0; i < mark->holder_count; i++)
        touched[i] = mark->holders[i].mechanism == CRN_MECHANISM_CXX20
                         ? mark->holders[i].stack_bytes
                         : (is_list || mark->holders[i].count == 1 ? 0 : UINT64_MAX);
    for (uint32_t i = 0; i < mark->snap->coro_count; i++)
        if (mark->holder_of[i] != 0 && touched[mark->holder_of[i] - 1] != UINT64_MAX)
            touched[mark->holder_of[i] - 1] += touched_bytes(mark->snap, i, 0);
}

static void dead_ages_note(const struct crn_mark *mark, struct crn_ages *ages)
{
    size_t numbers = mark->snap->coro_count + mark->snap->frame_count;
    for (uint32_t i = 0; mark->holder_count > 0 && i < numbers; i++) {
        if (mark->holder_of[i] == 0)
            continue;
        struct crn_holder one = crn_coro_describe(mark->snap, i);
        age_note(&ages[mark->holder_of[i] - 1], &one);
    }
}

void crn_dead_coros_add(struct crn_draft *draft, struct crn_mark *mark, uint32_t *rows,
                        bool is_list)
{
    uint64_t *touched = crn_arena_alloc(&mark->arena, (mark->holder_count + 1) * sizeof *touched);
    struct crn_ages *ages = crn_arena_alloc(&mark->arena, (mark->holder_count + 1) * sizeof *ages);
    if (touched == NULL || ages == NULL)
        return;
    for (size_t i = 0; i < mark->suspect_count; i++) {
        const struct crn_suspect *suspect = &mark->suspects[i];
        const struct crn_group *group = &mark->groups[suspect->group - 1];
        if (group->holder != 0 &&
            !(suspect->is_direct && crn_mark_is_coroutine(mark, suspect->start)))
            mark->holders[group->holder - 1].retained_bytes += suspect->size;
    }
    dead_touched_add(mark, touched, is_list);
    dead_ages_note(mark, ages);
    for (size_t i = 0; i < mark->holder_count; i++)
        rows[i] = row_add(draft, mark->snap, &mark->holders[i], touched[i], &ages[i]);
}

/* The kind of a coroutine, entered if it is new; NULL: there are too many. */
static struct kind *kind_get(struct kinds *kinds, const struct crn_holder *like)
{
    const size_t mask = KINDS_MAX * 2 - 1;
    size_t at = crn_holder_hash(like) & mask;
    for (; kinds->slots[at] != 0; at = (at + 1) & mask)
        if (crn_holders_are_alike(&kinds->rows[kinds->slots[at] - 1].holder, like))
            return &kinds->rows[kinds->slots[at] - 1];
    if (kinds->count == KINDS_MAX)
        return NULL;
    struct kind *fresh = &kinds->rows[kinds->count++];
    fresh->holder = *like;
    fresh->holder.count = 0;
    fresh->holder.stack_bytes = fresh->holder.retained_bytes = 0;
    kinds->slots[at] = kinds->count;
    return fresh;
}

static void living_add(struct kinds *kinds, const struct crn_mark *mark, uint32_t number,
                       const uint64_t *retained)
{
    struct crn_holder one = crn_coro_describe(mark->snap, number);
    struct kind *kind = kind_get(kinds, &one);
    if (kind == NULL) {
        kinds->left_out++;
        return;
    }
    kind->holder.count++;
    age_note(&kind->ages, &one);
    kind->holder.stack_bytes += one.stack_bytes;
    kind->touched_bytes += touched_bytes(mark->snap, number, one.stack_bytes);
    if (retained != NULL)
        kind->holder.retained_bytes += retained[number];
    else
        kind->holder.retained_bytes = UINT64_MAX;
}

static bool is_any_living(const struct crn_mark *mark, uint32_t numbers)
{
    for (uint32_t i = 0; i < numbers; i++)
        if (mark->holder_of[i] == 0)
            return true;
    return false;
}

void crn_living_coros_add(struct crn_draft *draft, struct crn_mark *mark)
{
    enum { RETAINED_MOST = 4 << 20 }; /* blocks, while the program goes on: the flood takes 1 us each */
    const struct crn_snap *snap = mark->snap;
    uint32_t numbers = (uint32_t)(snap->coro_count + snap->frame_count);
    struct crn_arena arena = {0};
    struct kinds kinds = {
        .rows = crn_arena_alloc(&arena, KINDS_MAX * sizeof *kinds.rows),
        .slots = crn_arena_alloc(&arena, KINDS_MAX * 2 * sizeof *kinds.slots),
    };
    uint64_t *retained = crn_arena_alloc(&arena, (numbers + 1) * sizeof *retained);
    if (!is_any_living(mark, numbers)) {
        crn_arena_free_all(&arena);
        return;
    }
    bool is_asked = snap->occasion.is_end || mark->live_blocks <= RETAINED_MOST;
    if (retained != NULL && (!is_asked || crn_mark_retained(mark, retained) != CRN_OK))
        retained = NULL;
    if (kinds.rows != NULL && kinds.slots != NULL) {
        for (uint32_t i = 0; i < numbers; i++)
            if (mark->holder_of[i] == 0)
                living_add(&kinds, mark, i, retained);
    } else {
        kinds.left_out = numbers;
    }
    for (uint32_t i = 0; i < kinds.count; i++)
        row_add(draft, snap, &kinds.rows[i].holder, kinds.rows[i].touched_bytes,
                &kinds.rows[i].ages);
    if (kinds.left_out > 0)
        crn_draft_warning(draft, "%u coroutines are not listed: there are too many kinds of them",
                          kinds.left_out);
    crn_arena_free_all(&arena);
}
