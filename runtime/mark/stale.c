/*
 * Looks for dead words while the live flood goes on.  See stale.h.
 *
 * The flood first follows all but the words of call frames.  Then those are read: what leads to a
 * block that the flood came to is no question.  The rest are candidates, and as soon as one turns
 * out not to be dead, the flood goes on from it; so nothing is flooded twice.
 */
#include "mark/stale.h"
#include "mark/look.h"

enum {
    CANDIDATES_AT_ONCE = 1 << 15, /* then they are judged, though more bodies wait */
    CANDIDATES_MAX = 1 << 20,
    STALE_MAX = 1 << 20, /* words */
    AHEAD = 8            /* rows: how long before its turn a block's record is asked for */
};

bool crn_flood_follows(const struct crn_flood *flood, const struct crn_scan *scan, uintptr_t word)
{
    /* Its own end is where a neighbour's stack may begin: no handle of that one. */
    bool is_own_end = scan->own_stack != 0 && word - flood->region >= flood->region_bytes &&
                      word == flood->mark->snap->coros[scan->own_stack - 1].stack_end;
    return (word - flood->region < flood->region_bytes ||
            word - flood->other < flood->other_bytes) &&
           !is_own_end;
}

static struct crn_candidate *rows_of(const struct crn_stale_look *look)
{
    return (struct crn_candidate *)look->rows.base;
}

static void candidate_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    struct crn_stale_look *look = (struct crn_stale_look *)scan;
    struct crn_flood *flood = look->flood;
    if ((look->has_done_locals && crn_local_is_done(flood->mark, address)) ||
        !crn_flood_follows(flood, scan, word) ||
        (flood->mark->snap->link_count != 0 && crn_word_is_link(flood->mark, word)))
        return;
    if (look->count == CANDIDATES_MAX ||
        !crn_span_ensure(&look->rows, (look->count + 1) * sizeof(struct crn_candidate))) {
        crn_flood_add(flood, word);
        return;
    }
    rows_of(look)[look->count++] =
        (struct crn_candidate){.word = word, .address = address, .coro = look->coro};
}

static void candidate_reach(struct crn_scan *scan, uint32_t coro, uintptr_t address)
{
    struct crn_stale_look *look = (struct crn_stale_look *)scan;
    (void)address;
    look->reach(look->flood, coro);
}

/* Whether a word leads to a plain block, which may hold no coroutine itself. */
static bool is_plain(const struct crn_mark *mark, uintptr_t word, struct crn_target *target)
{
    return crn_target_find(mark, word, target) &&
           crn_colour_is_plain(mark->colours[target->slot]) &&
           (mark->snap->frame_count == 0 || crn_frame_find(mark->snap, target->start) == 0);
}

/* Words that are no questions are followed; answers with the others alone, closed up. */
static void questions_keep(struct crn_stale_look *look)
{
    struct crn_mark *mark = look->flood->mark;
    struct crn_candidate *rows = rows_of(look);
    struct crn_target target;
    size_t kept = 0;
    for (size_t i = 0; i < look->count; i++) {
        if (i + AHEAD < look->count) {
            size_t page = (rows[i + AHEAD].word - look->flood->region) >> CRN_PAGE_SHIFT;
            if (page < mark->pages)
                __builtin_prefetch(&mark->rows[page + 1]);
        }
        if (is_plain(mark, rows[i].word, &target)) {
            if (crn_bit_get(mark->fresh, target.slot))
                rows[kept++] = rows[i];
        } else {
            look->take(look->flood, rows[i].word);
        }
    }
    look->count = kept;
    crn_flood_drain(look->flood);
    kept = 0;
    for (size_t i = 0; i < look->count; i++)
        if (crn_target_find(mark, rows[i].word, &target) && crn_bit_get(mark->fresh, target.slot))
            rows[kept++] = rows[i];
    look->count = kept;
}

/* Notes a dead word; false: there is no room. */
static bool word_note(struct crn_stale_look *look, const struct crn_candidate *row)
{
    struct crn_mark *mark = look->flood->mark;
    struct crn_span *span = &mark->spans[CRN_SPAN_STALE];
    size_t bytes = (mark->stale_count + 1) * sizeof(struct crn_stale_word);
    if (mark->stale_count == STALE_MAX ||
        (span->base == NULL &&
         !crn_span_init_passing(span, STALE_MAX * sizeof(struct crn_stale_word))) ||
        !crn_span_ensure(span, bytes))
        return false;
    mark->stale_words = (struct crn_stale_word *)span->base;
    mark->stale_words[mark->stale_count++] =
        (struct crn_stale_word){row->word, row->address, row->place, row->coro};
    return true;
}

static void candidates_judge(struct crn_stale_look *look)
{
    crn_flood_drain(look->flood);
    if (look->count > 0)
        questions_keep(look);
    if (look->count > 0)
        crn_asker_ask(&look->asker, rows_of(look), look->count);
    for (size_t i = 0; i < look->count; i++) {
        const struct crn_candidate *row = &rows_of(look)[i];
        if (row->place == 0 || !word_note(look, row))
            crn_flood_add(look->flood, row->word);
    }
    look->count = 0;
    crn_flood_drain(look->flood);
}

static void bodies_read(struct crn_stale_look *look)
{
    while (look->coros->count > 0 && look->count < CANDIDATES_AT_ONCE) {
        uint32_t coro = (uint32_t)crn_worklist_pop(look->coros);
        look->coro = coro + 1;
        if (!look->flood->mark->snap->coros[coro].never_goes_on)
            crn_scan_body(&look->scan, coro);
        crn_scan_zone(&look->flood->scan, coro); /* its owner's */
    }
    look->coro = 0;
}

/* Follows blocks that nothing live leads to, until a coroutine comes up. */
struct trial {
    struct crn_flood flood; /* first */
    bool has_coroutine;
};

static void trial_settle(struct crn_flood *flood)
{
    struct trial *trial = (struct trial *)flood;
    const struct crn_mark *mark = flood->mark;
    struct crn_found_works found;
    struct crn_target target;
    crn_flood_look_up(flood, &found);
    for (unsigned i = 0; i < found.count; i++) {
        trial->has_coroutine |= mark->snap->frame_count != 0 &&
                                crn_frame_find(mark->snap, crn_work_start(found.works[i])) != 0;
        crn_flood_push(flood, found.works[i]);
    }
    for (unsigned i = 0; i < found.doubt_count; i++) {
        bool is_found = crn_target_find(mark, found.doubts[i], &target);
        if (!is_found || !crn_colour_is_plain(mark->colours[target.slot])) {
            trial->has_coroutine |= crn_word_coro(mark, found.doubts[i]) != 0 ||
                                    (is_found && crn_is_white(mark, target.slot));
        } else if (crn_bit_get(flood->fresh, target.slot)) {
            crn_bit_clear(flood->fresh, target.slot);
            crn_flood_push(flood, target.start);
        }
    }
}

/*
 * What a dead word leads to may have a coroutine in it, whose verdict would rest on that: such
 * words are followed like others.  Answers whether there are any.
 */
static bool coroutines_spare(struct crn_stale_look *look)
{
    struct crn_mark *mark = look->flood->mark;
    const struct crn_snap *snap = mark->snap;
    size_t bytes = mark->bit_words * sizeof(uint64_t);
    struct trial trial = {.has_coroutine = false};
    bool has_any = false;
    if (mark->stale_count == 0 || (snap->frame_count == 0 && snap->coro_count == 0))
        return false;
    if (look->untouched == NULL)
        look->untouched = crn_arena_alloc(&mark->arena, bytes);
    bool can_tell = look->untouched != NULL;
    if (can_tell) {
        __builtin_memcpy(look->untouched, mark->fresh, bytes);
        can_tell =
            crn_flood_init(&trial.flood, mark, look->untouched, trial_settle, mark->slot_count);
        trial.flood.other = look->flood->other;
        trial.flood.other_bytes = look->flood->other_bytes;
    }
    for (size_t i = 0; i < mark->stale_count; i++) {
        struct crn_stale_word *row = &mark->stale_words[i];
        if (row->place == 0)
            continue;
        trial.has_coroutine = false;
        if (can_tell) {
            crn_flood_add(&trial.flood, row->word);
            crn_flood_drain(&trial.flood);
        }
        if (can_tell && !trial.has_coroutine && !trial.flood.is_out_of_memory)
            continue;
        row->place = 0;
        has_any = true;
        crn_flood_add(look->flood, row->word);
    }
    if (can_tell)
        crn_flood_fini(&trial.flood);
    crn_flood_drain(look->flood);
    return has_any;
}

void crn_stale_look(struct crn_stale_look *look)
{
    const struct crn_snap *snap = look->flood->mark->snap;
    look->scan = (struct crn_scan){
        .mark = look->flood->mark, .visit = candidate_visit, .reach = candidate_reach};
    look->asker = (struct crn_asker){.mark = look->flood->mark};
    look->has_done_locals = crn_has_done_locals(look->flood->mark);
    if (!crn_span_init_passing(&look->rows, CANDIDATES_MAX * sizeof(struct crn_candidate)))
        look->rows = (struct crn_span){.base = NULL}; /* all words are followed */
    crn_flood_drain(look->flood);
    for (size_t i = 0; i < snap->root_count; i++)
        if (crn_root_is_of_frames(&snap->roots[i]))
            crn_scan_root(&look->scan, &snap->roots[i]);
    do {
        do {
            candidates_judge(look);
            bodies_read(look);
        } while (look->count > 0 || look->coros->count > 0 || look->flood->word_count > 0);
    } while (coroutines_spare(look));
    crn_asker_fini(&look->asker);
    if (look->rows.base != NULL)
        crn_span_fini(&look->rows);
}
