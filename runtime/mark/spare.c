/*
 * Spare memory of containers.  See spare.h.
 *
 * Two layouts are known, both proven by the block that the elements lie in: a buffer begins where
 * the first pointer says, and its exact size is the distance to the last one.
 *
 *   vector: begin <= end < limit         (libstdc++, libc++ and most that are like them)
 *   deque:  two iterators, cur first last node each, of libstdc++: *node is first
 *
 * Where a fourth pointer into the same buffer follows, it is neither (libc++ keeps a deque's map
 * so).
 */
#include "mark/spare.h"
#include "mark/rosters.h"
#include "base/sort.h"

#include <string.h>

enum {
    RANGES_MAX = 4096,
    RANGES_MAX_FOR_COROS = 16384, /* with ends of vectors */
    SPARES_MAX = 8192,
    HEAP_BYTES_MAX = 64 << 20,
    RANGE_BYTES_MAX = 1 << 20,
    VECTOR_WORDS = 3,
    ITERATOR_WORDS = 4
};

struct range {
    uintptr_t start, end; /* spare */
    uintptr_t container;
    struct crn_target buffer;
};

struct search {
    struct crn_scan scan; /* first */
    struct crn_mark *mark;
    struct range *ranges;
    size_t count, ranges_max;
    size_t bytes_left; /* of heap to read */
    bool is_for_coros; /* leave out what may be a ring */
    struct crn_rosters *rosters; /* NULL: they do not matter */
    struct crn_target keeper;    /* of the roster that is looked at */
    size_t roster_words;
};

static bool is_live(const struct crn_mark *mark, crn_slot slot)
{
    return (mark->colours[slot] & CRN_COLOUR_MASK) == CRN_COLOUR_VERDICT + CRN_VERDICT_LIVE;
}

/* Whether a live block of ours starts at `start`, and ends at `end` to the byte. */
static bool is_buffer(const struct crn_mark *mark, uintptr_t start, uintptr_t end,
                      struct crn_target *buffer)
{
    return start % 16 == 0 && end > start && crn_target_find(mark, start, buffer) &&
           buffer->start == start && is_live(mark, buffer->slot) &&
           (mark->colours[buffer->slot] & CRN_COLOUR_SPECIAL) == 0 &&
           crn_record_size(crn_slot_record(mark, buffer->slot)) == end - start;
}

static uintptr_t word_at(uintptr_t at)
{
    uintptr_t word;
    __builtin_memcpy(&word, (const void *)at, sizeof word);
    return word;
}

/* Calls visit(the block) for each word in a range that points to another live block of ours. */
static void range_read(struct crn_mark *mark, const struct range *range,
                       void (*visit)(const struct range *range, const struct crn_target *target,
                                     void *user),
                       void *user)
{
    for (uintptr_t at = crn_align_up(range->start, 8); at + 8 <= range->end; at += 8) {
        struct crn_target target;
        uintptr_t word = word_at(at) & CRN_ADDRESS_MASK;
        if (word >= CRN_PAGE_BYTES && crn_target_find(mark, word, &target) &&
            target.slot != range->buffer.slot && is_live(mark, target.slot) &&
            (mark->colours[target.slot] & CRN_COLOUR_FOREIGN) == 0)
            visit(range, &target, user);
    }
}

static void target_note(const struct range *range, const struct crn_target *target, void *user)
{
    (void)range;
    (void)target;
    *(bool *)user = true;
}

/* Whether a word leads to a coroutine whose stack lies in no block. */
static bool names_stack(const struct crn_mark *mark, const struct range *range)
{
    for (uintptr_t at = crn_align_up(range->start, 8); at + 8 <= range->end; at += 8)
        if (crn_word_coro(mark, word_at(at) & CRN_ADDRESS_MASK) != 0)
            return true;
    return false;
}

static void range_add(struct search *search, uintptr_t start, uintptr_t end, uintptr_t container,
                      struct crn_target buffer)
{
    struct range range = {start, end, container, buffer};
    bool has_target = false;
    if (start >= end || end - start > RANGE_BYTES_MAX || search->count == search->ranges_max)
        return;
    range_read(search->mark, &range, target_note, &has_target);
    if (search->is_for_coros && !has_target)
        has_target = names_stack(search->mark, &range);
    if (has_target)
        search->ranges[search->count++] = range;
}

/* An iterator of a deque: cur, first, last, node. */
static bool is_iterator(const struct crn_mark *mark, const uintptr_t *words,
                        struct crn_target *buffer)
{
    struct crn_target map;
    return words[0] - words[1] <= words[2] - words[1] &&
           is_buffer(mark, words[1], words[2], buffer) && crn_target_find(mark, words[3], &map) &&
           is_live(mark, map.slot) && words[3] % 8 == 0 && words[3] + 8 <= map.start + map.bytes &&
           word_at(words[3]) == words[1];
}

/*
 * Whether a word beside the three may count what the buffer holds.  Then it may be a ring, whose
 * second pointer says where the elements begin, and they go on behind it.
 */
static bool may_be_count(uintptr_t word, uintptr_t bytes)
{
    return word != 0 && word <= bytes;
}

/*
 * Whether three words may name two neighbouring blocks, one of them twice: the head, a cursor and
 * the tail of a list.
 */
static bool may_be_list(const struct crn_mark *mark, const uintptr_t *words)
{
    struct crn_target next;
    return (words[1] == words[0] || words[1] == words[2]) &&
           crn_target_find(mark, words[2], &next) && next.start == words[2];
}

/*
 * Adds what of a vector does not count for a coroutine.  Where its buffer ends, the next block may
 * begin: who points there does not mean that one.
 */
static void vector_add(struct search *search, uintptr_t at, const uintptr_t *words,
                       struct crn_target buffer, bool may_be_ring)
{
    if (!may_be_ring)
        range_add(search, words[1], words[2], at, buffer);
    range_add(search, words[1] == words[2] ? at + 8 : at + 16, at + 24, at, buffer);
}

/* Three words or more, and the one before them; those that may not be read are 0. */
static void words_look(struct search *search, uintptr_t at, uintptr_t before,
                       const uintptr_t *words)
{
    const uintptr_t *finish = words + ITERATOR_WORDS;
    struct crn_target buffer, last;
    if (is_iterator(search->mark, words, &buffer)) {
        if (!is_iterator(search->mark, finish, &last))
            return;
        range_add(search, words[1], words[0], at, buffer);
        range_add(search, finish[0], finish[2], at, last);
    } else if (words[1] - words[0] <= words[2] - words[0] &&
               words[3] - words[0] > words[2] - words[0] &&
               is_buffer(search->mark, words[0], words[2], &buffer)) {
        if (!search->is_for_coros)
            range_add(search, words[1], words[2], at, buffer);
        else if (!may_be_list(search->mark, words))
            vector_add(search, at, words, buffer,
                       may_be_count(before, words[2] - words[0]) ||
                           may_be_count(words[3], words[2] - words[0]));
    }
}

static void containers_run(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    struct search *search = (struct search *)scan;
    uintptr_t base = search->mark->snap->heap->index.base;
    uintptr_t span = search->mark->pages << CRN_PAGE_SHIFT;
    for (uintptr_t at = crn_align_up(start, 8); at + VECTOR_WORDS * 8 <= end; at += 8) {
        uintptr_t words[2 * ITERATOR_WORDS] = {0};
        uintptr_t first = word_at(at), third = word_at(at + 16);
        if (first - base >= span || third - base > span)
            continue;
        memcpy(words, (const void *)at, end - at < sizeof words ? (end - at) & ~7ul : sizeof words);
        words_look(search, at + scan->shift, at >= start + 8 ? word_at(at - 8) : 0, words);
    }
}

static void nothing_visit(struct crn_scan *scan, uintptr_t word, uintptr_t address)
{
    (void)scan;
    (void)word;
    (void)address;
}

static bool roster_word(uintptr_t address, void *user)
{
    struct search *search = user;
    range_add(search, address, address + 8, search->keeper.start, search->keeper);
    return search->count < search->ranges_max;
}

/* Adds the words of the roster that a block keeps. */
static void rosters_look(struct search *search, struct crn_target block)
{
    size_t count = search->count;
    search->keeper = block;
    if (!crn_roster_links(search->rosters, block.start, block.bytes, roster_word, search)) {
        search->count = count;
        return;
    }
    search->roster_words += search->count - count;
    uintptr_t words[VECTOR_WORDS],
        at = crn_roster_vector(search->rosters, block.start, block.bytes);
    struct crn_target buffer;
    if (at == 0)
        return;
    memcpy(words, (const void *)at, sizeof words);
    if (words[1] - words[0] <= words[2] - words[0] &&
        is_buffer(search->mark, words[0], words[2], &buffer))
        vector_add(search, at, words, buffer, false);
}

/* Adds the blocks that a list of memory to be recycled names, if it is one. */
static void recycled_add(struct search *search, uintptr_t list)
{
    struct crn_target blocks[CRN_RECYCLED_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < CRN_RECYCLED_MAX; i++) {
        struct crn_target *block = &blocks[count];
        uintptr_t word = word_at(list + i * sizeof word);
        if (word == 0)
            continue;
        if (!crn_target_find(search->mark, word, block) || block->start != word ||
            !crn_roster_is_recycled(word, crn_slot_size(search->mark, block->slot)))
            return;
        count++;
    }
    for (unsigned i = 0; i < count; i++)
        range_add(search, blocks[i].start, blocks[i].start + blocks[i].bytes, list, blocks[i]);
}

/* Looks for such lists on a thread's stack. */
static void recycled_run(struct crn_scan *scan, uintptr_t start, uintptr_t end)
{
    struct search *search = (struct search *)scan;
    const uintptr_t list_bytes = CRN_RECYCLED_MAX * sizeof(uintptr_t);
    uintptr_t base = search->mark->snap->heap->index.base;
    uintptr_t span = search->mark->pages << CRN_PAGE_SHIFT;
    for (uintptr_t at = crn_align_up(start, 8); scan->shift == 0 && at + 24 <= end; at += 8) {
        uintptr_t scheduler = word_at(at), list = word_at(at + 8);
        struct crn_target target;
        if (scheduler - base < span && list % 8 == 0 && list >= start && list < end &&
            end - list >= list_bytes && crn_target_find(search->mark, scheduler, &target) &&
            target.start == scheduler &&
            crn_roster_is_scheduler(search->rosters, target.start, target.bytes))
            recycled_add(search, list);
    }
}

static void block_search(struct crn_target block, void *user)
{
    struct search *search = user;
    if (block.bytes > search->bytes_left || block.bytes >= CRN_SPARSE_FROM_BYTES)
        return;
    search->bytes_left -= block.bytes;
    crn_scan_block(&search->scan, block.start, block.bytes);
    if (search->rosters != NULL)
        rosters_look(search, block);
}

static bool range_less(const void *a, const void *b)
{
    return ((const struct crn_unreadable *)a)->start < ((const struct crn_unreadable *)b)->start;
}

static bool spare_less(const void *a, const void *b)
{
    return ((const struct crn_spare *)a)->target < ((const struct crn_spare *)b)->target;
}

/* The live flood again, as if nothing stood in spare memory; false: no memory. */
static bool flood_without(const struct search *search, struct crn_mark *other,
                          struct crn_snap *picture)
{
    struct crn_mark *mark = search->mark;
    *picture = *mark->snap;
    size_t count = picture->unreadable_count;
    picture->asks_stale = false;
    picture->unreadable =
        crn_arena_alloc(&mark->arena, (count + search->count) * sizeof *picture->unreadable);
    if (picture->unreadable == NULL)
        return false;
    if (count > 0)
        memcpy(picture->unreadable, mark->snap->unreadable, count * sizeof *picture->unreadable);
    for (size_t i = 0; i < search->count; i++)
        picture->unreadable[count + i] =
            (struct crn_unreadable){.start = search->ranges[i].start,
                                    .end = search->ranges[i].end,
                                    .how = CRN_HOLDS_NOTHING,
                                    .is_accessible = true};
    picture->unreadable_count = count + search->count;
    crn_sort(picture->unreadable, picture->unreadable_count, sizeof *picture->unreadable,
             range_less);
    memset(other, 0, sizeof *other);
    other->snap = picture;
    return crn_colours_build(other) == CRN_OK && crn_flood_live(other) == CRN_OK;
}

static void spare_add(const struct range *range, const struct crn_target *target, void *user)
{
    struct crn_mark *mark = user;
    if (!crn_bit_get(mark->spare_held, target->slot) || mark->spare_count == SPARES_MAX)
        return;
    const struct crn_record *buffer = crn_slot_record(mark, range->buffer.slot);
    mark->spares[mark->spare_count++] =
        (struct crn_spare){target->start, range->container, range->buffer.start,
                           crn_record_size(buffer), buffer->stack};
}

static void held_collect(struct search *search, const struct crn_mark *other)
{
    struct crn_mark *mark = search->mark;
    size_t held = 0;
    for (size_t slot = 0; slot < mark->slot_count; slot++) {
        if (!is_live(mark, (crn_slot)slot) || !crn_is_white(other, (crn_slot)slot) ||
            (mark->colours[slot] & CRN_COLOUR_FOREIGN) != 0)
            continue;
        crn_bit_set(mark->spare_held, (crn_slot)slot);
        held++;
    }
    for (size_t i = 0; i < search->count && held > 0 && !search->is_for_coros; i++)
        range_read(mark, &search->ranges[i], spare_add, mark);
    crn_sort(mark->spares, mark->spare_count, sizeof *mark->spares, spare_less);
}

/* The main thread's variables lie in a mapping like others, and a small one. */
static bool is_of_variables(const struct crn_root *root)
{
    enum { SMALL_BYTES = 256 * 1024 };
    return root->kind == CRN_ROOT_GLOBAL || root->kind == CRN_ROOT_TLS ||
           (root->kind == CRN_ROOT_MAPPING && root->end - root->start <= SMALL_BYTES);
}

static void spares_look(struct crn_mark *mark,
                        void (*compare)(struct crn_mark *mark, const struct crn_mark *without))
{
    const struct crn_snap *snap = mark->snap;
    struct search search = {
        .scan = {.mark = mark, .run = containers_run, .visit = nothing_visit},
        .mark = mark,
        .ranges_max = compare != NULL ? RANGES_MAX_FOR_COROS : RANGES_MAX,
        .bytes_left = HEAP_BYTES_MAX,
        .is_for_coros = compare != NULL,
    };
    uint64_t *live = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *live);
    search.ranges = crn_arena_alloc(&mark->arena, search.ranges_max * sizeof *search.ranges);
    struct crn_mark without;
    struct crn_snap picture;
    if (search.is_for_coros)
        search.rosters = crn_arena_alloc(&mark->arena, sizeof *search.rosters);
    if (search.ranges == NULL || live == NULL)
        return;
    for (size_t i = 0; i < snap->root_count; i++)
        if (is_of_variables(&snap->roots[i]))
            crn_scan_root(&search.scan, &snap->roots[i]);
    for (size_t i = 0; search.is_for_coros && i < snap->output_count; i++)
        range_add(&search, snap->outputs[i].start, snap->outputs[i].end, snap->outputs[i].start,
                  (struct crn_target){.slot = (crn_slot)-1});
    search.scan.run = recycled_run;
    for (size_t i = 0; search.rosters != NULL && i < snap->root_count; i++)
        if (snap->roots[i].kind == CRN_ROOT_STACK)
            crn_scan_root(&search.scan, &snap->roots[i]);
    search.scan.run = containers_run;
    for (size_t slot = 0; slot < mark->slot_count; slot++)
        if (is_live(mark, (crn_slot)slot))
            crn_bit_set(live, (crn_slot)slot);
    crn_mark_for_each(mark, live, block_search, &search);
    if (search.count == 0)
        return;
    mark->has_spares = search.count > search.roster_words;
    mark->has_rosters = search.roster_words > 0;
    uint64_t *held = crn_arena_alloc(&mark->arena, mark->bit_words * sizeof *mark->spare_held);
    mark->spares = crn_arena_alloc(&mark->arena, SPARES_MAX * sizeof *mark->spares);
    if (held == NULL || mark->spares == NULL)
        return;
    mark->spare_held = held;
    if (flood_without(&search, &without, &picture)) {
        held_collect(&search, &without);
        if (compare != NULL)
            compare(mark, &without);
    }
    crn_mark_free(&without);
}

void crn_spares_compare(struct crn_mark *mark,
                        void (*compare)(struct crn_mark *mark, const struct crn_mark *without))
{
    spares_look(mark, compare);
}

void crn_spares_find(struct crn_mark *mark)
{
    mark->spare_held = NULL;
    mark->is_spare_judged = false; /* what was to be said of those is said */
    mark->spare_count = 0;
    spares_look(mark, NULL);
}
